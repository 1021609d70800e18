"""Masks: which part of a picture takes part, as a picture of its own in which that part is white."""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import ImageOps
from torch import Tensor

from splice.errors import InputError
from splice.pictures.images import read_image
from splice.pictures.picture_file import check_picture, open_picture

NEARLY = 1 / 32
"""What is so near to black or white is: compression leaves specks around edges."""

HALF = 0.5
"""Brightness from which on a pixel counts as white."""

ASPECT = 0.02
"""By how much the aspect ratio of a mask may differ from its picture's, in shares of it."""


def read_mask(
    file: str | Path, picture: Float[Tensor, "3 height width"], name: str | Path
) -> Float[Tensor, "height width"]:
    """A mask at the size of its picture, from 0 (takes no part) to 1.

    The brightness of the file counts, as `read_image` reads it; what is transparent is black. It is
    resized bilinearly with antialiasing, so edges may be soft.

    Args:
        file: of the mask, any picture.
        picture: the picture that it is for, as it was read.
        name: what a message calls the picture.

    Raises:
        InputError: it cannot be read, has another aspect ratio than the picture, or no white.
        RunError: it does not fit in memory.
    """
    check_picture(file)
    levels = read_image(file).mean(0)
    alpha = _opacity(file)
    if alpha is not None:
        levels = levels * alpha
    size = picture.shape[-2:]
    (rows, columns), (height, width) = levels.shape, size
    if abs(columns * height / (rows * width) - 1) > ASPECT:
        raise InputError(
            f"{file} has {columns} x {rows} pixels, which is not the aspect ratio of {name} "
            f"({width} x {height}); make the mask from that picture."
        )
    if levels.max() < HALF:
        raise InputError(f"{file} has no white; paint white what is to take part.")
    if levels.shape != size:
        levels = F.interpolate(levels[None, None], size=size, mode="bilinear", antialias=True)[0, 0]
    return ((levels - NEARLY) / (1 - 2 * NEARLY)).clamp(0, 1)


def _opacity(file: str | Path) -> Float[Tensor, "height width"] | None:
    """From 0 (transparent) to 1; None where the file has no transparency."""
    with open_picture(file) as picture:
        picture.load()
        if not picture.has_transparency_data:
            return None
        turned = picture if picture.format in ("TIFF", "HEIF") else ImageOps.exif_transpose(picture)
        alpha = turned.convert("RGBA").getchannel("A")
        values = torch.frombuffer(bytearray(alpha.tobytes()), dtype=torch.uint8)
        return values.view(alpha.height, alpha.width).float() / 255
