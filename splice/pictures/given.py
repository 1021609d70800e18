"""A picture as a program gives it: a file, or what Python holds pictures in."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from splice.errors import InputError
from splice.pictures.colour import to_srgb
from splice.pictures.images import read_image
from splice.pictures.kept import NOTHING, Kept, kept_of, read_kept
from splice.pictures.picture_file import MAX_PIXELS, MIN_SIDE, check_picture
from splice.pictures.resizing import resize_short_side
from splice.pictures.upright import turn_upright

AnyPicture = str | Path | Image.Image | np.ndarray | Tensor
"""A file; a picture of Pillow's; an array, height × width, perhaps × 1, 3 or 4 channels; or a tensor,
perhaps 1, 3 or 4 channels × height × width. Arrays and tensors hold sRGB: 8 or 16 bits without sign,
or floats in [0, 1]. A fourth channel is opacity."""

OVERSHOOT = 0.1
"""How far floats may lie outside of [0, 1], as filters leave them; they are clipped."""

WORDS = "the picture"
"""What messages call a picture that has no name."""


def as_image(
    picture: AnyPicture,
    name: str = WORDS,
    *,
    short_side: int | None = None,
    smallest: int = MIN_SIDE,
) -> Float[Tensor, "3 height width"]:
    """The picture as all of Splice takes it: sRGB in [0, 1], upright, transparency laid over white.

    A picture of Pillow's is read as its file would be: orientation mark, colour profile and
    transparency are heeded.

    Args:
        picture: to take.
        name: what messages call it, unless it is a file.
        short_side: the most pixels that its short side keeps.
        smallest: pixels that both sides must have, unless it is a file.

    Raises:
        InputError: a file that `read_image` refuses, or an array that is not a picture.
        RunError: the picture does not fit in memory.
    """
    if isinstance(picture, (str, Path)):
        side = None if short_side is None else min(short_side, *check_picture(picture))
        return read_image(picture, short_side=side)
    if isinstance(picture, Image.Image):
        values = np.array(to_srgb(_upright(picture, name, smallest), name))
        image, opacity = _from_values(values, name), None
    else:
        image, opacity = _split(picture, name, smallest)
    if opacity is not None:
        image = image * opacity + (1 - opacity)
    return (
        image if short_side is None else resize_short_side(image, min(short_side, *image.shape[1:]))
    )


def size_of(picture: AnyPicture, name: str = WORDS) -> tuple[int, int]:
    """Width and height in pixels; of a file as stored, from its header alone.

    Raises:
        InputError: it is not a picture.
    """
    if isinstance(picture, (str, Path)):
        return check_picture(picture)
    if isinstance(picture, Image.Image):
        return picture.size
    height, width = _channels_last(picture, name).shape[:2]
    return width, height


def kept_from(picture: AnyPicture, name: str = WORDS) -> Kept:
    """What an output made from the picture takes over; see `Kept`.

    Raises:
        InputError: it is not a picture.
    """
    if isinstance(picture, (str, Path)):
        return read_kept(picture)
    if isinstance(picture, Image.Image):
        return kept_of(_copy(picture))
    _, opacity = _split(picture, name)
    return NOTHING if opacity is None or bool((opacity == 1).all()) else Kept(opacity)


def _copy(picture: Image.Image) -> Image.Image:
    """The caller's own picture stays as it is; reading it may correct what it says of itself."""
    copy = picture.copy()
    copy.format = picture.format
    return copy


def _upright(picture: Image.Image, name: str, smallest: int) -> Image.Image:
    _check_size(picture.size, name, smallest)
    try:
        return turn_upright(_copy(picture))
    except OSError as error:
        raise InputError(f"{name} is damaged or incomplete; give an intact one.") from error


def _split(
    picture: np.ndarray | Tensor, name: str, smallest: int = MIN_SIDE
) -> tuple[Float[Tensor, "3 height width"], Float[Tensor, "height width"] | None]:
    """Colours and opacity of an array or a tensor."""
    values = _channels_last(picture, name)
    height, width, channels = values.shape
    _check_size((width, height), name, smallest)
    image = _from_values(values, name)
    opacity = image[3] if channels == 4 else None
    return image[:3].expand(3, height, width).contiguous(), opacity


def _channels_last(picture: np.ndarray | Tensor, name: str) -> np.ndarray:
    """Height × width × channels, after checking that it can be a picture."""
    is_tensor = isinstance(picture, Tensor)
    values: Any = picture.detach().cpu() if is_tensor else picture
    channels = values.shape[0 if is_tensor else -1] if values.ndim == 3 else 1
    if values.ndim not in (2, 3) or channels not in (1, 3, 4):
        wanted = "channels x height x width" if is_tensor else "height x width x channels"
        raise InputError(
            f"{name} cannot have the shape {tuple(values.shape)}: give {wanted}, with 1, 3 or 4 "
            "channels, or height x width."
        )
    if is_tensor:
        values = values.float() if values.is_floating_point() else values
        values = (values.movedim(0, -1) if values.ndim == 3 else values).numpy()
    return values.reshape(*values.shape[:2], channels)


def _from_values(values: np.ndarray, name: str) -> Float[Tensor, "channels height width"]:
    if values.dtype in (np.uint8, np.uint16):
        image = torch.from_numpy(values.astype(np.float32)) / float(np.iinfo(values.dtype).max)
    elif values.dtype.kind == "f":
        image = torch.from_numpy(values.astype(np.float32))
        if not bool(image.isfinite().all()):
            raise InputError(f"{name} holds infinite or missing values; give floats in [0, 1].")
        least, most = image.min().item(), image.max().item()
        if least < -OVERSHOOT or most > 1 + OVERSHOOT:
            raise InputError(
                f"{name} holds floats from {least:.4g} to {most:.4g}; give floats in [0, 1], or uint8."
            )
        image = image.clamp(0, 1)
    else:
        raise InputError(
            f"{name} cannot hold {values.dtype}; give uint8, uint16 or floats in [0, 1]."
        )
    return image.movedim(-1, 0).contiguous()


def _check_size(size: tuple[int, int], name: str, smallest: int) -> None:
    width, height = size
    if min(size) < smallest:
        raise InputError(
            f"{name} has {width} x {height} pixels; both sides must have at least {smallest}."
        )
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name} has {width} x {height} pixels, more than the {MAX_PIXELS:,} allowed; "
            "scale it down first."
        )
