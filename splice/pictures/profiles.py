"""Colour profiles of outputs: in which one a picture is written that was painted in sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

SAME = 1
"""Levels of 8 bits within which a profile's colours are those of sRGB."""

LOST = 0.3
"""Levels that sRGB colours may lose on the way into a profile and back, in the mean.

Adobe RGB and Display P3 lose 0.2, ProPhoto RGB 0.5 and linear light as much: at 8 bits these show
bands in skies.
"""


_IGNORED = ("CMYK", "LAB", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Modes of which a profile of RGB says nothing; reading does not heed it either."""


def convert(
    colour: Image.Image, source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile
) -> Image.Image:
    """Colours from one profile to another of RGB: relative colorimetric, with black point compensation.

    Raises:
        OSError, ImageCms.PyCMSError, ValueError, TypeError: the profiles do not allow it.
    """
    converted = ImageCms.profileToProfile(
        colour,
        source,
        target,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None  # only an in-place conversion returns nothing
    return converted


def srgb() -> ImageCms.ImageCmsProfile:
    """The profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def profile_of_output(picture: Image.Image) -> bytes | None:
    """The profile of a picture, if what is painted in sRGB should be written in it as well.

    It should where it is a profile of RGB made of a matrix and curves, where it differs from sRGB,
    and where sRGB colours survive the way there and back at 8 bits.

    Args:
        picture: an opened picture; its pixels are not needed.
    """
    data = picture.info.get("icc_profile")
    if not isinstance(data, bytes) or data[16:20] != b"RGB " or picture.mode in _IGNORED:
        return None
    return data if _is_kept(data) else None


@lru_cache(maxsize=8)
def _is_kept(data: bytes) -> bool:
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(17, -1, 3)
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if not getattr(profile.profile, "is_matrix_shaper", False):
            return False
        there = convert(Image.fromarray(cube), srgb(), profile)
        back = convert(there, profile, srgb())
    except (OSError, ImageCms.PyCMSError, ValueError, TypeError):
        return False
    moved = np.abs(np.asarray(there).astype(int) - cube)
    lost = np.abs(np.asarray(back).astype(int) - cube)
    return bool(moved.max() > SAME and lost.mean() <= LOST)


def from_srgb(colour: Image.Image, profile: bytes) -> Image.Image:
    """An RGB picture in sRGB, in a profile that `profile_of_output` gave."""
    return convert(colour, srgb(), ImageCms.ImageCmsProfile(io.BytesIO(profile)))
