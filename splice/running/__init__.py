"""One run from files to files: presets, device, memory, folder, checkpoint, and being stopped.

In come two files and settings. Out comes a folder with the picture, its record, curves and a time
lapse, which an interrupted run can go on from.
"""

MODULES = (
    "checkpoint",
    "device",
    "durations",
    "environment",
    "frames",
    "inputs",
    "loss_table",
    "memory",
    "one_pair",
    "outcome",
    "outputs",
    "presets",
    "recipe",
    "resuming",
    "run",
    "setting_list",
    "signals",
    "single_picture",
)
"""Modules that other rooms may use."""
