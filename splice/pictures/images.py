"""Pictures in and out: files of any kind to sRGB tensors in [0, 1], and back."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from splice.errors import InputError
from splice.pictures.atomic import write_atomically
from splice.pictures.colour import to_srgb
from splice.pictures.encoding import to_pil, write_image
from splice.pictures.picture_file import MAX_PIXELS, MIN_SIDE, check_picture, open_picture
from splice.pictures.resizing import resize, resize_short_side, short_side_size
from splice.pictures.upright import turn_upright

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
        upright = turn_upright(picture)
        values = torch.from_numpy(np.array(to_srgb(upright, str(path))))
    image = values.permute(2, 0, 1).contiguous().float()
    if values.dtype == torch.uint8:
        image /= 255
    if short_side is None:
        return image
    if (upright.width > upright.height) != (width > height):
        height, width = width, height
    return resize(image, short_side_size(height, width, short_side))


def _decode_reduced(picture: Image.Image, short_side: int) -> None:
    """Let a JPEG decode at 1/2, 1/4 or 1/8, where that shifts no pixel.

    At least half of the reduction is left to the better filter of `resize_short_side`. A photograph of
    24 megapixels, wanted at 448 pixels, is read in a ninth of the time.
    """
    width, height = picture.size
    for scale in (8, 4, 2):
        aligned = width % scale == 0 and height % scale == 0
        if aligned and min(width, height) // scale >= 2 * short_side:
            picture.draft(None, (width // scale, height // scale))
            return
