"""Local affine maps of colours: what makes tones of a photograph, and makes a picture of it large."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.pictures.guided_filter import window_functions

RADIUS = 4
"""Of the windows in which a picture is told as a map of its photograph, in pixels."""

TOLERANCE = 1e-4
"""Variance of colour below which a window of the photograph is flat, and all of it changes alike."""

STRONGEST = 1.25
"""Most that a photograph's finest detail is strengthened: more embosses it and brings out noise."""


def applied(
    maps: Float[Tensor, "1 12 rows columns"], photograph: Float[Tensor, "1 3 height width"]
) -> Float[Tensor, "1 3 height width"]:
    """What local affine maps, brought to the size of a photograph, make of its colours.

    Args:
        maps: slopes from red, green and blue to red, then to green, then to blue; then three offsets.
        photograph: in [0, 1].
    """
    return _sloped(maps[:, :9], photograph) + _enlarged(maps[:, 9:], photograph)


def with_grain(
    picture: Float[Tensor, "1 3 rows columns"],
    small: Float[Tensor, "1 3 rows columns"],
    photograph: Float[Tensor, "1 3 height width"],
) -> Float[Tensor, "1 3 height width"]:
    """A picture of a small photograph, enlarged to the large one's size and as sharp, in [0, 1].

    In each window the picture is nearly an affine function of the small photograph's colours. What
    the large one has beyond the enlarged small one goes through its slopes, and is added. Slopes that
    would make grey differences more than `STRONGEST` times as large are made less steep.

    Args:
        picture: made of the small photograph, in [0, 1].
        small: the photograph, shrunk.
        photograph: the photograph.
    """
    size = photograph.shape[-2:]
    radius = min(RADIUS, (min(small.shape[-2:]) - 1) // 2)
    large, plain = (F.interpolate(each, size=size, mode="bicubic") for each in (picture, small))
    if radius == 0:
        return large.clamp_(0, 1)
    _, slopes = window_functions(picture, small, radius, TOLERANCE)
    matrix = torch.stack(slopes, 2)
    gain = matrix.mean(2).norm(dim=1, keepdim=True) * 3**0.5
    matrix = matrix.flatten(1, 2) * (STRONGEST / gain.clamp_min(STRONGEST))
    return large.add_(_sloped(matrix, photograph - plain)).clamp_(0, 1)


def _sloped(slopes: Float[Tensor, "1 9 rows columns"], colours: Tensor) -> Tensor:
    # One colour at a time: nine maps at the size of a large photograph would take much memory.
    each = [(_enlarged(rows, colours) * colours).sum(1) for rows in slopes.split(3, 1)]
    return torch.stack(each, 1)


def _enlarged(maps: Tensor, image: Tensor) -> Tensor:
    size = image.shape[-2:]
    return maps if maps.shape[-2:] == size else F.interpolate(maps, size=size, mode="bilinear")
