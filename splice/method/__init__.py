"""The method itself, which can be lifted out and read alone: `transfer` is where to begin.

In come two pictures in [0, 1], settings and a frozen transformer. Out comes, step by step, the first
picture in the look of the second. docs/architecture.md has all files in the order of reading.
"""

MODULES = (
    "adam",
    "appearances",
    "clusters",
    "failures",
    "generator",
    "ground",
    "layers",
    "lesson",
    "muon",
    "noise",
    "objective",
    "painting",
    "protocol",
    "semantics",
    "setting_values",
    "settings",
    "slopes",
    "sparing",
    "step",
    "tones",
    "transfer",
    "views",
)
"""Modules that other rooms may use."""
