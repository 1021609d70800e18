"""Any picture mode to sRGB on white: profiles, palettes, inks, depths and transparency."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from splice.errors import InputError
from splice.pictures.profiles import convert, srgb

_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_MODES_OF_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_WHITES = (1, 255, 2**16 - 1, 2**31 - 1)


class _Profile(NamedTuple):
    mode: str
    """The picture mode whose values the profile describes."""
    content: ImageCms.ImageCmsProfile


def to_srgb(picture: Image.Image, name: str) -> np.ndarray:
    """Bring a decoded picture of any mode to sRGB, with transparency laid over white.

    An embedded colour profile is honoured; one that is damaged, or made for another number of
    channels, is ignored. Without a profile values are taken as sRGB, inks (CMYK) as naive
    complements. 32-bit integers and floats carry no agreed white: it is the least of 1, 255,
    65,535 and 2^31 - 1 that the picture stays within (integers start at 255; floats up to 4
    count as [0, 1] with overshoot, and are clipped).

    Args:
        picture: a loaded Pillow image.
        name: what messages call it.

    Returns:
        An array [height, width, 3], uint8, or float32 in [0, 1] where the picture is deeper
        than 8 bits.

    Raises:
        InputError: values that no picture has: infinite, not a number, or beyond all whites.
    """
    profile = _profile(picture)
    if picture.mode in _DEEP_GREY:
        return _deep_grey(picture, profile, name)
    colour, alpha = _split_alpha(picture)
    colour = _profile_to_srgb(colour, profile)
    if alpha is not None:
        white = Image.new("RGB", colour.size, "white")
        white.paste(colour, mask=alpha)
        colour = white
    return np.asarray(colour)


def opacity(picture: Image.Image) -> np.ndarray | None:
    """How opaque each pixel of a decoded picture is, whatever its mode.

    Returns:
        An array [height, width], float32 in [0, 1]; None where the whole picture is opaque.
    """
    if not picture.has_transparency_data:
        return None
    if picture.mode in _DEEP_GREY:
        values = np.asarray(picture) != picture.info.get("transparency")
        values = values.astype(np.float32)
    else:
        _, alpha = _split_alpha(picture)
        values = np.asarray(alpha, np.float32) / 255
    return None if bool((values == 1).all()) else values


def _profile(picture: Image.Image) -> _Profile | None:
    data = picture.info.get("icc_profile")
    if not isinstance(data, bytes):
        return None
    mode = _MODES_OF_SPACES.get(data[16:20])
    if mode is None:
        return None
    try:
        return _Profile(mode, ImageCms.ImageCmsProfile(io.BytesIO(data)))
    except (OSError, ImageCms.PyCMSError, ValueError, TypeError):
        return None


def _split_alpha(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Separate opacity from colour, which is left in the mode that its profile speaks of."""
    if picture.mode in ("RGBa", "La"):
        picture = picture.convert(picture.mode.upper())
    if not picture.has_transparency_data:
        if picture.mode == "1":
            return picture.convert("L"), None
        if picture.mode in ("L", "RGB", "CMYK", "LAB"):
            return picture, None
        return picture.convert("RGB"), None
    if picture.mode in ("1", "L", "LA"):
        picture = picture.convert("LA")
        return picture.getchannel("L"), picture.getchannel("A")
    key = picture.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:  # of 16-bit colour, whose pixels came as 8-bit
        picture.info["transparency"] = tuple(value >> 8 for value in key)
    picture = picture.convert("RGBA")
    return picture.convert("RGB"), picture.getchannel("A")


def _profile_to_srgb(colour: Image.Image, profile: _Profile | None) -> Image.Image:
    if colour.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return convert(colour, lab, srgb())
    if profile is not None:
        if profile.mode == "RGB" and colour.mode == "L":  # grey, saved with a camera's profile
            colour = colour.convert("RGB")
        if profile.mode == colour.mode:
            try:
                return convert(colour, profile.content, srgb())
            except (OSError, ImageCms.PyCMSError, ValueError, TypeError):
                pass
    return colour.convert("RGB")


def _deep_grey(picture: Image.Image, profile: _Profile | None, name: str) -> np.ndarray:
    values = np.asarray(picture)
    clear = picture.info.get("transparency")
    opaque = values != clear if isinstance(clear, int) else None
    grey = values.astype(np.float32) / np.float32(_white(picture, values, name))
    grey = grey.clip(0, 1)
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    if profile is not None and profile.mode == "L":
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        curve = np.asarray(_profile_to_srgb(ramp, profile))[0].astype(np.float32) / 255
        steps = np.linspace(0, 1, 256, dtype=np.float32)
        for channel in range(3):
            colour[:, :, channel] = np.interp(grey, steps, curve[:, channel])
    if opaque is not None:
        colour[~opaque] = 1
    return colour


def _white(picture: Image.Image, values: np.ndarray, name: str) -> int:
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM"):
        return 2**16 - 1
    largest = float(values.max())
    if not np.isfinite(values).all():
        raise InputError(
            f"{name} holds infinite or missing values; give one with values in [0, 1]."
        )
    if picture.mode == "F" and largest <= 4:
        return 1
    for white in _WHITES[1:]:
        if largest <= white:
            return white
    raise InputError(f"{name} holds values up to {largest:g}; give one with values in [0, 1].")
