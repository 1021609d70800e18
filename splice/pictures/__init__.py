"""Files in, pictures in [0, 1] out, and back.

In come photographs and masks of any kind, and folders of pairs. Out go tensors of 3 × height × width,
upright, in sRGB, at the size that was asked for; and files that are whole or not there.
"""

MODULES = (
    "atomic",
    "bilateral",
    "encoding",
    "formats",
    "given",
    "guided_filter",
    "images",
    "kept",
    "masks",
    "pairs",
    "png_text",
    "resampling",
    "resizing",
    "samples",
)
"""Modules that other rooms may use."""
