"""Pictures in and out: files of any kind to sRGB tensors in [0, 1], and back."""

import io
import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn import functional as F

from splice.errors import InputError, RunError
from splice.pictures.atomic import write_atomically
from splice.pictures.colour import to_srgb
from splice.pictures.picture_file import MAX_PIXELS, MIN_SIDE, check_picture, open_picture

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "check_picture",
    "read_image",
    "resize_short_side",
    "to_pil",
    "write_atomically",
    "write_image",
]

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(
    path: str | Path, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None
) -> Float[Tensor, "3 height width"]:
    """Read a picture file as it is meant to be seen.

    Orientation marks are applied, embedded colour profiles converted to sRGB, transparency laid
    over white, and the first frame of an animation taken. Values deeper than 8 bits keep their
    depth for grey pictures; Pillow reads deeper colour at 8 bits.

    Args:
        path: a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, PPM or (extra `heic`) HEIC file.
        max_pixels: the most pixels that the file, or the resized picture, may have. Beyond
            about 179 million, raise `PIL.Image.MAX_IMAGE_PIXELS` as well.
        short_side: resize the picture to this short side in pixels, as `resize_short_side`
            does; a large JPEG is then decoded at a fraction of its size.

    Returns:
        The picture, sRGB values in [0, 1], float32.

    Raises:
        InputError: the file is missing, not a regular file, empty, not a picture, smaller than
            16 pixels on a side, larger than `max_pixels`, damaged, or HEIC without the extra.
        RunError: the picture does not fit in memory.
    """
    with open_picture(path, max_pixels=max_pixels) as picture:
        width, height = picture.size
        if short_side is not None:
            target = short_side_size(height, width, short_side)
            if target[0] * target[1] > max_pixels:
                raise InputError(
                    f"{path} would have {target[1]} x {target[0]} pixels at a short side of "
                    f"{short_side}, more than the {max_pixels:,} allowed; ask for a smaller one."
                )
            _decode_reduced(picture, short_side)
        picture.load()
        upright = _turn_upright(picture)
        values = torch.from_numpy(np.array(to_srgb(upright, str(path))))
    image = values.permute(2, 0, 1).contiguous().float()
    if values.dtype == torch.uint8:
        image /= 255
    if short_side is None:
        return image
    if (upright.width > upright.height) != (width > height):
        height, width = width, height
    return _resize(image, short_side_size(height, width, short_side))


def _decode_reduced(picture: Image.Image, short_side: int) -> None:
    """Let a JPEG decode at 1/2, 1/4 or 1/8, where that shifts no pixel.

    At least half of the reduction is left to the better filter of `resize_short_side`.
    """
    width, height = picture.size
    for scale in (8, 4, 2):
        aligned = width % scale == 0 and height % scale == 0
        if aligned and min(width, height) // scale >= 2 * short_side:
            picture.draft(None, (width // scale, height // scale))
            return


def _turn_upright(picture: Image.Image) -> Image.Image:
    if picture.format == "TIFF" or picture.format == "HEIF":
        return picture  # turned by the decoder
    try:
        mark = picture.getexif().get(_ORIENTATION_TAG)
    except Exception:  # damaged marks are as good as none
        return picture
    turn = _TURNS.get(mark) if isinstance(mark, int) else None
    if turn is None:
        return picture
    turned = picture.transpose(turn)
    turned.format = picture.format
    return turned


def short_side_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width once the short side has `size` pixels: aspect kept, rounded, never 0.

    Raises:
        InputError: `size` is not positive.
    """
    if size < 1:
        raise InputError(f"the short side of a picture cannot be {size} pixels; give at least 1.")
    short, long = min(height, width), max(height, width)
    long = (2 * long * size + short) // (2 * short)
    return (size, long) if height <= width else (long, size)


def resize_short_side(
    image: Float[Tensor, "3 height width"], size: int
) -> Float[Tensor, "3 resized_height resized_width"]:
    """Resize a picture until its short side has `size` pixels, aspect kept.

    Bicubic with antialiasing, clamped to [0, 1] because the filter overshoots at edges.

    Raises:
        InputError: `size` is not positive.
    """
    return _resize(image, short_side_size(image.shape[1], image.shape[2], size))


def _resize(
    image: Float[Tensor, "3 height width"], size: tuple[int, int]
) -> Float[Tensor, "3 resized_height resized_width"]:
    if tuple(image.shape[1:]) == size:
        return image
    resized = F.interpolate(
        image[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )
    return resized[0].clamp(0, 1)


def to_pil(image: Float[Tensor, "3 height width"]) -> Image.Image:
    """Round a picture to 8 bits, values clipped to [0, 1].

    Raises:
        RunError: the picture holds values that are not finite.
    """
    values = image.detach()
    if not bool(values.isfinite().all()):
        raise RunError("the picture holds values that are not finite, so it cannot be shown.")
    levels = values.float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().cpu().numpy())


def write_image(path: str | Path, image: Float[Tensor, "3 height width"]) -> None:
    """Write an 8-bit sRGB picture, whole or not at all; the same picture gives the same bytes.

    Args:
        path: `.png`, or `.jpg`/`.jpeg` (quality 95, no chroma subsampling); an existing file is
            replaced.
        image: values in [0, 1]; what lies outside is clipped.

    Raises:
        InputError: another suffix, a missing or unwritable folder.
        RunError: a full disk, or values that are not finite.
    """
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - also for a str
    buffer = io.BytesIO()
    if suffix == ".png":
        marks = PngInfo()
        marks.add(b"sRGB", b"\0")
        to_pil(image).save(buffer, "PNG", compress_level=6, pnginfo=marks)
    elif suffix in (".jpg", ".jpeg"):
        to_pil(image).save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        raise InputError(f"{path} cannot be written: name it .png, .jpg or .jpeg.")
    # Encoded in memory first: encoders hide the reason when the disk is full.
    write_atomically(path, lambda file: file.write(buffer.getvalue()))
