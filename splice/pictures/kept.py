"""What an output takes over from the file of its structure image, besides shapes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from splice.pictures.colour import opacity, to_srgb
from splice.pictures.picture_file import MAX_PIXELS, open_picture
from splice.pictures.profiles import profile_of_output
from splice.pictures.upright import turn_upright


@dataclass(frozen=True)
class Own:
    """A picture's pixels, so that those that nobody changed can be written as they were.

    The way from a profile to sRGB and back, or from transparent over white and back, rounds colours.

    Attributes:
        stored: as its file has them, upright.
        seen: as they are read, in sRGB and over white.
    """

    stored: UInt8[np.ndarray, "rows columns channels"]
    seen: UInt8[np.ndarray, "rows columns 3"]


@dataclass(frozen=True)
class Kept:
    """Transparency, colour profile and unchanged pixels, for `write_image`.

    Attributes:
        opacity: of each pixel, 0 (clear) to 1; None where all are opaque.
        profile: the ICC profile that colours are to be written in; None for sRGB.
        own: the pixels, where some come back unchanged and one of both would round them.
    """

    opacity: Float[Tensor, "rows columns"] | None = None
    profile: bytes | None = None
    own: Own | None = None


NOTHING = Kept()
"""Of an opaque picture in sRGB."""


def read_kept(path: str | Path, *, max_pixels: int = MAX_PIXELS, unchanged: bool = False) -> Kept:
    """What an output made from a picture file takes over.

    Args:
        path: the structure image.
        max_pixels: as for `read_image`.
        unchanged: whether pixels will come back as they were, outside a mask or at strength 0.

    Raises:
        InputError: it cannot be read, as `read_image` says.
        RunError: it does not fit in memory.
    """
    with open_picture(path, max_pixels=max_pixels) as picture:
        return kept_of(picture, unchanged=unchanged)


def kept_of(picture: Image.Image, *, unchanged: bool = False) -> Kept:
    """The same of an opened picture, which is decoded only where its pixels are needed."""
    profile = profile_of_output(picture)
    if not (picture.has_transparency_data or (unchanged and profile)):
        return Kept(None, profile)
    picture.load()
    upright = turn_upright(picture)
    values = opacity(upright) if picture.has_transparency_data else None
    kept = None if values is None else torch.from_numpy(values.copy())
    needed = unchanged and (profile or values is not None)
    return Kept(kept, profile, _own(upright) if needed else None)


def _own(picture: Image.Image) -> Own | None:
    if picture.mode not in ("RGB", "RGBA"):
        return None
    return Own(np.array(picture), to_srgb(picture, "the picture"))
