"""The painting at the photograph's own size, with the photograph's own grain."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

RADIUS = 3
"""Of the windows, in pixels of the painting, in which detail's gain is found."""

FLAT = 4e-4
"""Variance of brightness below which the structure image has no detail to tell a gain by."""

STRONGEST = 1.5
"""Most that detail is strengthened: more would bring out noise."""


@torch.no_grad()
def delivered(
    painted: Float[Tensor, "1 3 height width"],
    structure: Float[Tensor, "1 3 height width"],
    large: Float[Tensor, "1 3 rows columns"],
) -> Float[Tensor, "1 3 rows columns"]:
    """A painting brought to the size of a photograph, as sharp as that.

    The painting is enlarged, and what the photograph has that its enlarged small copy has not is added,
    times a gain: how the painting's brightness goes with the structure image's in the windows around
    (the slope of a guided filter: He, Sun, Tang, "Guided Image Filtering", TPAMI 2013, eq. 5), at least
    0 and at most `STRONGEST`. Where the painting has other texture the gain is small.

    Args:
        painted: from `structure`, in [0, 1].
        structure: the structure image at the size of the painting.
        large: the structure image at the wanted size.

    Returns:
        A picture in [0, 1].
    """
    if painted.shape == large.shape:
        return painted
    size = large.shape[-2:]
    gain = F.interpolate(detail_gain(painted, structure), size=size, mode="bilinear")[:, 0]
    result = torch.empty_like(large)
    for channel in range(3):  # one by one, which bounds the memory
        ours, theirs = (
            F.interpolate(x[:, channel : channel + 1], size=size, mode="bicubic")[:, 0]
            for x in (painted, structure)
        )
        result[:, channel] = ours + gain * (large[:, channel] - theirs)
    return result.clamp_(0, 1)


def detail_gain(
    painted: Float[Tensor, "1 3 height width"], structure: Float[Tensor, "1 3 height width"]
) -> Float[Tensor, "1 1 height width"]:
    """By how much the painting's colours change with the structure image's, in [0, `STRONGEST`]."""
    x, y = structure.mean(1, keepdim=True), painted.mean(1, keepdim=True)
    maps = torch.cat([x, y, x * x, x * y], 1)
    side = 2 * RADIUS + 1
    mean, other, square, product = F.avg_pool2d(
        maps, side, 1, RADIUS, count_include_pad=False
    ).split(1, 1)
    slope = (product - mean * other) / ((square - mean**2).clamp_min(0) + FLAT)
    slope = F.avg_pool2d(slope, side, 1, RADIUS, count_include_pad=False)
    return slope.clamp(0, STRONGEST)
