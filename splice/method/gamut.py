"""Which colours a picture has: how far other colours are from them."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.appearances import CLEARLY

CELLS = 33
"""Along each side of the lattice of colours."""

SAMPLES = 96
"""Rows and columns of mean colours, and of single pixels, that a picture's colours are told by."""

RANK = 8
"""A colour must be near to as many of them: one odd pixel does not make it the picture's."""

NEAR = 0.03
"""Distance in RGB up to which a colour is one of the picture's."""


@torch.no_grad()
def gamut_of(
    picture: Float[Tensor, "1 3 height width"],
    mask: Float[Tensor, "1 1 height width"] | None = None,
) -> Float[Tensor, "1 1 cells cells cells"]:
    """How far the colours of a lattice are from those of a picture, beyond `NEAR`.

    Args:
        picture: in [0, 1].
        mask: 1 where the picture's colours count; None for all.

    Returns:
        Distances in RGB, at red (first), green and blue from 0 to 1.
    """
    colours = _sampled(picture)
    if mask is not None:
        shares = _sampled(mask)[:, 0]
        colours = colours[shares >= shares.max().clamp_max(CLEARLY)]
    rank = min(RANK, len(colours))
    axis = torch.linspace(0, 1, CELLS, device=picture.device)
    lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).flatten(0, 2)
    far = [
        torch.cdist(part, colours).topk(rank, largest=False).values[:, -1]
        for part in lattice.split(256)
    ]
    return (torch.cat(far) - NEAR).clamp_min(0).view(1, 1, CELLS, CELLS, CELLS)


def _sampled(maps: Float[Tensor, "1 channels _ _"]) -> Float[Tensor, "samples channels"]:
    """Means of parts, and single pixels."""
    means = F.interpolate(maps, size=(SAMPLES, SAMPLES), mode="area")
    pixels = F.interpolate(maps, size=(SAMPLES, SAMPLES), mode="nearest")
    return torch.cat([means, pixels], 2)[0].flatten(1).T


def gamut_term(
    output: Float[Tensor, "1 3 height width"], gamut: Float[Tensor, "1 1 cells cells cells"]
) -> Float[Tensor, ""]:
    """The mean distance of a picture's colours from a gamut, interpolated in its lattice."""
    # The last axis of the lattice comes first in the coordinates that torch takes.
    places = output[0].permute(1, 2, 0).flip(-1)[None, None] * 2 - 1
    far = F.grid_sample(gamut, places, mode="bilinear", padding_mode="border", align_corners=True)
    return far.mean()
