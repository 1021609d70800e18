"""Where each pixel belongs in the appearance image, in a language that both pictures share.

The address of a pixel is a code of the appearance image's patches that mean the same. An eye has the
address of the other picture's eyes, fur that of its fur. A network that has learnt what the appearance
image has at each address can paint another picture from its addresses.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.correspondence import correspondence
from splice.method.semantics import TOLERANCE, Semantics, principal_axes
from splice.pictures.guided_filter import guided_upsampling

CHANNELS = 32
"""Of an address, besides its hue."""

HUE = 2.0
"""How much the hue counts beside a code, in deviations."""

TEMPERATURE = 0.04
"""Of the softmax over likeness that says which patches mean the same."""

RADIUS = 4
"""Of the window that brings addresses to edges, in pixels."""

Address = Float[Tensor, "1 channels height width"]


@torch.no_grad()
def find_addresses(
    structure: Float[Tensor, "1 3 height width"],
    appearance: Float[Tensor, "1 3 rows columns"],
    semantics: Semantics,
) -> tuple[Address, Float[Tensor, "1 channels rows columns"]]:
    """The addresses of the structure image's pixels and of the appearance image's own.

    The codes are the appearance image's tokens on their principal axes, each with variance 1, and the
    mean colours of its patches, the *hue*. What a network has not seen together it paints in colours
    of its own; with the hue it knows better. Both pictures find their addresses in the same way, so
    that one is as smooth as the other.

    Args:
        structure: the structure image, in [0, 1].
        appearance: the appearance image, in [0, 1].
        semantics: of the pair.
    """
    theirs, grid = semantics.tokens[1], semantics.appearance_grid
    hue = F.interpolate(appearance, size=grid, mode="area")[0].flatten(1).T
    hue = hue - hue.mean(0)
    hue = HUE * hue / hue.std().clamp_min(1e-6)
    codes = torch.cat([theirs @ principal_axes(theirs, CHANNELS), hue], 1)
    own = correspondence(theirs, theirs, grid, grid)
    return (
        _addresses(semantics.likeness, codes, semantics.structure_grid, structure),
        _addresses(own, codes, grid, appearance),
    )


def _addresses(likeness: Tensor, codes: Tensor, grid: tuple[int, int], image: Tensor) -> Address:
    coarse = torch.softmax(likeness / TEMPERATURE, 1) @ codes
    return guided_upsampling(coarse.T.reshape(1, -1, *grid), image, RADIUS, TOLERANCE)
