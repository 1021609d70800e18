"""A change of a photograph that keeps its detail: local affine maps of its colours.

What is painted over a photograph changes it in two ways. A change of light, which a local affine
function of the photograph's own colours tells, keeps every leaf and hair, and applies to the photograph
at any size. New texture cannot be told so, and is let through where the appearance image has some.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.pictures.guided_filter import window_mean

SHRINK = 2
"""Maps are found on pictures so much smaller, which costs a quarter and does not show."""

RADIUS = 2
"""Of the windows in which colours are mapped alike, in pixels of those."""

TOLERANCE = 1e-4
"""Variance of colour below which a window of the photograph is flat, and all of it changes alike."""

STRONGEST = 1.25
"""Most that a photograph's finest detail is strengthened: more embosses it and brings out noise."""

Maps = Float[Tensor, "1 12 rows columns"]
"""Slopes from red, green and blue to red, then to green, then to blue; then three offsets."""


class Light:
    """What of a change of a photograph is a local affine function of its colours.

    The guided filter with a colour guide (He, Sun, Tang, "Guided Image Filtering", TPAMI 2013, eq.
    14-16), of which all that the photograph alone decides is computed once.
    """

    def __init__(self, photograph: Float[Tensor, "1 3 height width"]) -> None:
        """Takes the statistics of the photograph, in [0, 1]."""
        height, width = photograph.shape[-2:]
        self.size = (max(1, height // SHRINK), max(1, width // SHRINK))
        self.radius = min(RADIUS, (min(self.size) - 1) // 2)
        self.small = F.interpolate(photograph, size=self.size, mode="area")
        self.mean = window_mean(self.small, self.radius)
        own = _products(self.small, self.small)
        covariance = window_mean(own, self.radius) - _products(self.mean, self.mean)
        matrices = covariance[0].unflatten(0, (3, 3)).permute(2, 3, 0, 1).double().cpu()
        inverse = torch.linalg.inv(matrices + TOLERANCE * torch.eye(3, dtype=torch.float64))
        self.inverse = inverse.permute(2, 3, 0, 1).to(photograph).contiguous()

    def maps(self, change: Float[Tensor, "1 3 height width"]) -> Maps:
        """The local affine functions of the photograph's colours that are nearest to a change of it."""
        change = F.interpolate(change, size=self.size, mode="area")
        mean = window_mean(change, self.radius)
        covariance = window_mean(_products(change, self.small), self.radius)
        covariance = covariance - _products(mean, self.mean)
        slopes = torch.einsum("cihw,ijhw->cjhw", covariance[0].unflatten(0, (3, 3)), self.inverse)
        offsets = mean[0] - (slopes * self.mean).sum(1)
        return window_mean(torch.cat([slopes.flatten(0, 1), offsets])[None], self.radius)


def applied(
    maps: Maps, photograph: Float[Tensor, "1 3 height width"]
) -> Float[Tensor, "1 3 height width"]:
    """What local affine maps, brought to the size of a photograph, make of its colours."""
    return _sloped(maps[:, :9], photograph) + _enlarged(maps[:, 9:], photograph)


def detail(
    maps: Maps, fine: Float[Tensor, "1 3 height width"]
) -> Float[Tensor, "1 3 height width"]:
    """What maps make of differences of colours, without their offsets, neither embossed nor noisy.

    Where slopes would make grey differences more than `STRONGEST` times as large, they are less steep.
    """
    slopes = maps[:, :9]
    gain = slopes.unflatten(1, (3, 3)).mean(2).norm(dim=1, keepdim=True) * 3**0.5
    return _sloped(slopes * (STRONGEST / gain.clamp_min(STRONGEST)), fine)


def _sloped(slopes: Float[Tensor, "1 9 rows columns"], colours: Tensor) -> Tensor:
    # One colour at a time: nine maps at the size of a large photograph would take much memory.
    each = [(_enlarged(rows, colours) * colours).sum(1) for rows in slopes.split(3, 1)]
    return torch.stack(each, 1)


def _enlarged(maps: Tensor, image: Tensor) -> Tensor:
    size = image.shape[-2:]
    return maps if maps.shape[-2:] == size else F.interpolate(maps, size=size, mode="bilinear")


def _products(
    one: Float[Tensor, "1 3 rows columns"], other: Float[Tensor, "1 3 rows columns"]
) -> Float[Tensor, "1 9 rows columns"]:
    """Of all pairs of channels, the first picture's running slowly."""
    return (one[:, :, None] * other[:, None]).flatten(1, 2)
