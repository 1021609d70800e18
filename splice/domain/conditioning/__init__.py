"""Seven ways for a condition to enter the maps of a generator.

In come maps and a condition, out go maps of the same shape. `registry` makes a layer by its name; the
layers' own modules have the formulas and their sources.
"""

MODULES = ("registry", "spatial", "starting")
"""Modules that others may use."""
