"""Pictures at another size."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from splice.errors import InputError


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
    return resize(image, short_side_size(image.shape[1], image.shape[2], size))


def resize(
    image: Float[Tensor, "channels height width"], size: tuple[int, int]
) -> Float[Tensor, "channels resized_height resized_width"]:
    """Resize values in [0, 1] to a height and width, with the filter of `resize_short_side`."""
    if tuple(image.shape[1:]) == size:
        return image
    resized = F.interpolate(
        image[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )
    return resized[0].clamp(0, 1)
