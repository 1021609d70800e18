"""What an output takes over from the file of its structure image, besides shapes."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from splice.pictures.colour import opacity
from splice.pictures.picture_file import MAX_PIXELS, open_picture
from splice.pictures.profiles import profile_of_output
from splice.pictures.upright import turn_upright


@dataclass(frozen=True)
class Kept:
    """Transparency and colour profile, for `write_image`.

    Attributes:
        opacity: of each pixel, 0 (clear) to 1; None where all are opaque.
        profile: the ICC profile that colours are to be written in; None for sRGB.
    """

    opacity: Float[Tensor, "rows columns"] | None = None
    profile: bytes | None = None


NOTHING = Kept()
"""Of an opaque picture in sRGB."""


def read_kept(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Kept:
    """What an output made from a picture file takes over.

    Args:
        path: the structure image.
        max_pixels: as for `read_image`.

    Raises:
        InputError: it cannot be read, as `read_image` says.
        RunError: it does not fit in memory.
    """
    with open_picture(path, max_pixels=max_pixels) as picture:
        return kept_of(picture)


def kept_of(picture: Image.Image) -> Kept:
    """The same of an opened picture, which is decoded only where it may be transparent."""
    profile = profile_of_output(picture)
    if not picture.has_transparency_data:
        return Kept(None, profile)
    picture.load()
    values = opacity(turn_upright(picture))
    return Kept(None if values is None else torch.from_numpy(values.copy()), profile)
