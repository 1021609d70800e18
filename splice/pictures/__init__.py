"""Files in, pictures in [0, 1] out, and back.

In come photographs and masks of any kind, and folders of pairs. Out go tensors of 3 × height × width,
upright, in sRGB, at the size that was asked for; and files that are whole or not there.
"""

MODULES = ("atomic", "guided_filter", "images", "masks", "pairs")
"""Modules that other rooms may use."""
