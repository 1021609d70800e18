"""Pictures made smaller, so that terms on pixels see coarse things as well as fine ones."""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SHORT_SIDE = 256
"""Pixels of the short side that the scales of the settings are meant for."""


def times_larger(image: Float[Tensor, "1 channels height width"]) -> float:
    """How many times larger a picture is than one with a short side of `SHORT_SIDE`; at least 1."""
    return max(1.0, min(image.shape[-2:]) / SHORT_SIDE)


def scales_for(
    image: Float[Tensor, "1 channels height width"], scales: Sequence[float]
) -> list[float]:
    """How many times smaller a picture is to be made, in rising order.

    Of a picture with a longer short side than `SHORT_SIDE`, the scales of the settings mean the same
    parts of it as in a small one, and its own pixels are one more.
    """
    shrink = times_larger(image)
    return sorted({1.0, *(scale * shrink for scale in scales)})


def shrunk(
    image: Float[Tensor, "1 channels height width"], scale: float
) -> Float[Tensor, "1 channels rows columns"]:
    """The picture that many times smaller, each pixel the mean of those it covers."""
    if scale == 1:
        return image
    size = [max(1, round(side / scale)) for side in image.shape[-2:]]
    return F.interpolate(image, size=size, mode="area")


class Levels:
    """A picture at several scales, each made when it is first asked for and then kept.

    Attributes:
        picture: at its own size.
    """

    def __init__(self, picture: Float[Tensor, "1 channels height width"]) -> None:
        """Remembers the picture."""
        self.picture = picture
        self._made: dict[float, Tensor] = {}

    def __getitem__(self, scale: float) -> Float[Tensor, "1 channels rows columns"]:
        """The picture, `shrunk` that many times."""
        if scale not in self._made:
            self._made[scale] = shrunk(self.picture, scale)
        return self._made[scale]
