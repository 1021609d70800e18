"""How long a step takes, part by part, and beside what it is compared with.

In come settings and a pair. Out come medians of milliseconds: the step, its parts, its floor, and the
paper's loop written down word for word.
"""

MODULES = ("literal", "steps", "table")
"""Modules that other rooms may use."""
