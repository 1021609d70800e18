"""How strong detail is: in every part of the output as in what its look comes from, at every scale.

Distances between distributions say what detail should look like, but a generator that is not yet there
does better, by them, to paint less of it. Its strength is asked for by itself, and the other terms say
which detail it is.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.objective import brightness, means_around

NOTHING = 1e-3
"""Deviation that is no detail: a quarter of a level of 8 bits."""

FAINT = 0.01
"""Mean deviation below which a channel's detail is no longer compared relative to it."""


def detail_energy(
    image: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, "batch 3 height width"]:
    """Squares of the detail of every pixel: of brightness, and of red and blue less brightness.

    Detail is what the mean of the 3 × 3 pixels around leaves over; at the border, of those there are.

    Args:
        image: in [0, 1].
    """
    light, (red, _, blue) = brightness(image), image.split(1, 1)
    channels = torch.cat([light, red - light, blue - light], 1)
    return (channels - means_around(channels, 1)).square()


def detail_term(
    output: Float[Tensor, "1 3 height width"],
    wanted: Float[Tensor, "1 3 height width"],
    cells: int,
) -> Float[Tensor, ""]:
    """Mean difference of the strength of detail, in units of the mean strength that is wanted.

    Strength is the root of the mean energy, here in square cells that overlap by half.

    Args:
        output: in [0, 1].
        wanted: the strength of `detail_energy` that each pixel's surroundings should have.
        cells: along the short side.
    """
    side = max(1, min(output.shape[-2:]) // cells)
    ours, theirs = (
        (F.avg_pool2d(energy, side, stride=max(1, side // 2)) + NOTHING**2).sqrt()
        for energy in (detail_energy(output), wanted.square())
    )
    difference = (ours - theirs).abs().mean((0, 2, 3))
    return (difference / (theirs.mean((0, 2, 3)) + FAINT)).mean()
