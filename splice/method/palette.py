"""The distribution of colours that each part of the output should have."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splice.method.clusters import k_means, nearest_centre
from splice.method.semantics import Semantics

PARTS = 12
"""Parts of the structure image, each with a palette of its own."""

CODES = 8
"""Channels of the codes that tell these parts apart."""

SAMPLES = 1024
"""Pixels of each part that are compared."""

DIRECTIONS = 16
"""In which colours are compared."""

TEMPERATURE = 0.07
"""Of the softmax over likeness that says which patches of the appearance image a part takes after."""


@dataclass(frozen=True)
class Palettes:
    """What the parts' colours are compared with.

    Attributes:
        pixels: of the structure image, row by row, a sample of each part's.
        wanted: projections of as many colours of the appearance image, each row in rising order.
        weights: how much each part counts; their sum is 1.
    """

    pixels: Int[Tensor, "parts samples"]
    wanted: Float[Tensor, "parts directions samples"]
    weights: Float[Tensor, " parts"]


@torch.no_grad()
def find_palettes(
    appearance: Float[Tensor, "1 3 rows columns"],
    semantics: Semantics,
    evenness: float,
    random: torch.Generator,
) -> Palettes:
    """The palettes of a pair.

    Colours of the appearance image are drawn from patches as often as the part's own patches are like
    them in meaning.

    Args:
        appearance: the appearance image, in [0, 1].
        semantics: of the pair.
        evenness: how far small parts count as much as large ones, in [0, 1].
        random: draws pixels, on the CPU.
    """
    height, width = semantics.codes.shape[-2:]
    grid, other = semantics.structure_grid, semantics.appearance_grid
    codes = semantics.patch_codes(CODES)
    parts = nearest_centre(codes, k_means(codes, min(PARTS, len(codes)), random))
    matches = torch.softmax(semantics.likeness / TEMPERATURE, 1)
    of_pixels = F.interpolate(
        parts.view(1, 1, *grid).float(), size=(height, width), mode="nearest"
    ).flatten()
    rows, columns = appearance.shape[-2:]
    colours = appearance[0].flatten(1).T
    pixels, wanted, sizes = [], [], []
    for part in of_pixels.unique().long().tolist():  # small pictures have patches without pixels
        own = (of_pixels == part).nonzero()[:, 0]
        drawn = torch.randint(len(own), (SAMPLES,), generator=random)
        pixels.append(own[drawn.to(own.device)])
        chances = matches[parts == part].mean(0).double().cpu()
        patches = torch.multinomial(chances, SAMPLES, replacement=True, generator=random)
        within = torch.rand(2, SAMPLES, generator=random)
        row = ((patches // other[1] + within[0]) / other[0] * rows).long().clamp(0, rows - 1)
        column = ((patches % other[1] + within[1]) / other[1] * columns).long()
        places = row * columns + column.clamp(0, columns - 1)
        wanted.append(colours[places.to(colours.device)])
        sizes.append(len(own))
    shares = torch.tensor(sizes, device=colours.device).float() ** (1 - evenness)
    projected = projections(torch.stack(wanted)).sort(-1).values
    return Palettes(torch.stack(pixels), projected, shares / shares.sum())


def palette_term(
    output: Float[Tensor, "1 3 height width"], palettes: Palettes
) -> Float[Tensor, ""]:
    """The sliced Wasserstein-1 distance of each part's colours to its palette, the mean over parts.

    Colours of both are projected on fixed directions and compared in their order (Bonneel, Rabin,
    Peyré, Pfister, "Sliced and Radon Wasserstein barycenters of measures", 2015).
    """
    # Gathering from rows, unlike indexing, sums its gradient in a fixed order on a CPU.
    places = palettes.pixels.flatten().expand(3, -1)
    colours = output[0].flatten(1).gather(1, places).T.unflatten(0, palettes.pixels.shape)
    apart = (projections(colours).sort(-1).values - palettes.wanted).abs().mean((1, 2))
    return (palettes.weights * apart).sum()


def projections(
    colours: Float[Tensor, "parts samples 3"],
) -> Float[Tensor, "parts directions samples"]:
    """Colours along directions that are spread evenly over a half sphere (Fibonacci's spiral)."""
    number = torch.arange(DIRECTIONS, dtype=torch.float64) + 0.5
    z = number / DIRECTIONS
    turn = math.pi * (1 + 5**0.5) * number
    around = (1 - z**2).sqrt()
    directions = torch.stack([around * turn.cos(), around * turn.sin(), z], 1).to(colours)
    return directions @ colours.mT
