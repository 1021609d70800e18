"""Coarse maps brought to the pixels of a picture, with the picture's own edges."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

GUIDED_SIDE = 512
"""Short side, in pixels, at which the guided filter looks at larger pictures."""

CHANNELS_AT_ONCE = 4
"""Of a large picture's codes, which bounds the memory of making them."""


def guided_upsampling(
    coarse: Float[Tensor, "1 channels rows columns"],
    guide: Float[Tensor, "1 3 height width"],
    radius: int,
    tolerance: float,
) -> Float[Tensor, "1 channels height width"]:
    """A coarse map at the size of a picture, with the picture's edges.

    Bilinear upsampling, then the guided filter with a colour guide (He, Sun, Tang, "Guided Image
    Filtering", TPAMI 2013, eq. 14-16): in each window the result is an affine function of the guide.
    Of a picture whose short side is above `GUIDED_SIDE` pixels, these functions are found at that size
    and brought to the picture's own (He, Sun, "Fast Guided Filter", 2015). kornia's `guided_blur` takes
    60 % longer on 32 channels, and has no functions to bring to another picture.

    Args:
        coarse: the map.
        guide: the picture, in [0, 1].
        radius: of the window in pixels, at that size at most; 0 leaves the bilinear map as it is.
        tolerance: variance of colour below which a window counts as flat.
    """
    height, width = guide.shape[-2:]
    shrink = min(height, width) / GUIDED_SIDE
    if shrink <= 1:
        radius = min(radius, (min(height, width) - 1) // 2)
        if radius == 0:
            return _resized(coarse, (height, width))
        return _applied(*window_functions(coarse, guide, radius, tolerance), guide)
    if radius == 0:
        return _by_channels([coarse], guide, lambda fine: fine)
    small = F.interpolate(guide, size=(round(height / shrink), round(width / shrink)), mode="area")
    offset, slopes = window_functions(coarse, small, radius, tolerance)
    return _by_channels([offset, *slopes], guide, lambda o, *s: _applied(o, s, guide))


def window_functions(
    coarse: Float[Tensor, "1 channels rows columns"],
    guide: Float[Tensor, "1 3 height width"],
    radius: int,
    tolerance: float,
) -> tuple[Tensor, list[Tensor]]:
    """Offset and slopes of the affine functions of the guide, the mean of all windows of a pixel.

    Args:
        coarse: what they are to be near, in each window.
        guide: the picture.
        radius: of the windows, in pixels.
        tolerance: variance of colour below which a window counts as flat.

    Returns:
        The offset, and the slope of each of the guide's channels, 1 × channels × height × width each.
    """
    fine = _resized(coarse, guide.shape[-2:])
    mean_guide, mean_fine = window_mean(guide, radius), window_mean(fine, radius)
    variance = {
        (i, j): window_mean(guide[:, i : i + 1] * guide[:, j : j + 1], radius)
        - mean_guide[:, i : i + 1] * mean_guide[:, j : j + 1]
        + (tolerance if i == j else 0)
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    }
    covariance = [
        window_mean(guide[:, i : i + 1] * fine, radius) - mean_guide[:, i : i + 1] * mean_fine
        for i in range(3)
    ]
    slopes = _solve_symmetric(variance, covariance)
    offset = mean_fine - sum(slopes[i] * mean_guide[:, i : i + 1] for i in range(3))
    return window_mean(offset, radius), [window_mean(slope, radius) for slope in slopes]


def _applied(offset: Tensor, slopes: Sequence[Tensor], guide: Tensor) -> Tensor:
    result = offset
    for i in range(3):
        result = result + slopes[i] * guide[:, i : i + 1]
    return result


def _by_channels(
    maps: list[Tensor], guide: Tensor, function: Callable[..., Tensor]
) -> Float[Tensor, "1 channels height width"]:
    """What a function makes of maps at the size of the guide, a few channels at a time.

    All channels of a pixel lie side by side in the result, where views are cut from it.
    """
    channels, (height, width) = maps[0].shape[1], guide.shape[-2:]
    result = guide.new_empty(1, height, width, channels).movedim(-1, 1)
    for first in range(0, channels, CHANNELS_AT_ONCE):
        some = slice(first, first + CHANNELS_AT_ONCE)
        result[:, some] = function(*(_resized(each[:, some], (height, width)) for each in maps))
    return result


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def window_mean(
    x: Float[Tensor, "1 channels height width"], radius: int
) -> Float[Tensor, "1 channels height width"]:
    """Means of the square windows around all pixels of a picture that is mirrored at its borders."""
    # A row and a column of equal weights, one after the other, instead of all of the window at once.
    padded, channels, side = F.pad(x, (radius,) * 4, mode="reflect"), x.shape[1], 2 * radius + 1
    row = x.new_full((channels, 1, 1, side), 1 / side)
    return F.conv2d(F.conv2d(padded, row, groups=channels), row.mT, groups=channels)


def _solve_symmetric(m: dict[tuple[int, int], Tensor], b: list[Tensor]) -> list[Tensor]:
    """Solves M x = b for a symmetric 3×3 matrix in every pixel, by Cramer's rule."""
    a00 = m[1, 1] * m[2, 2] - m[1, 2] * m[1, 2]
    a01 = m[0, 2] * m[1, 2] - m[0, 1] * m[2, 2]
    a02 = m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1]
    a11 = m[0, 0] * m[2, 2] - m[0, 2] * m[0, 2]
    a12 = m[0, 1] * m[0, 2] - m[0, 0] * m[1, 2]
    a22 = m[0, 0] * m[1, 1] - m[0, 1] * m[0, 1]
    determinant = m[0, 0] * a00 + m[0, 1] * a01 + m[0, 2] * a02
    return [
        (a00 * b[0] + a01 * b[1] + a02 * b[2]) / determinant,
        (a01 * b[0] + a11 * b[1] + a12 * b[2]) / determinant,
        (a02 * b[0] + a12 * b[1] + a22 * b[2]) / determinant,
    ]
