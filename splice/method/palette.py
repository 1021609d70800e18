"""The distribution of colours that each part of the output should have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splice.method.appearances import Appearance, colours_in, patches_in, taking_part
from splice.method.clusters import k_means, nearest_centre
from splice.method.objective import rows_at
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

    @cached_property
    def directions(self) -> Float[Tensor, "3 directions"]:
        """Along which colours are compared; brought to a GPU once, as the host waits for it."""
        return directions().to(self.wanted)


@torch.no_grad()
def find_palettes(
    structure: Float[Tensor, "1 3 height width"],
    appearances: Sequence[Appearance],
    semantics: Semantics,
    evenness: float,
    random: torch.Generator,
    strength: float = 1.0,
    mask: Float[Tensor, "1 1 height width"] | None = None,
) -> Palettes:
    """The palettes of a pair.

    Colours of the appearance image are drawn from patches as often as the part's own patches are like
    them in meaning. At a strength below 1, palettes lie on the shortest way from the part's own colours
    to these.

    Args:
        structure: the structure image, in [0, 1].
        appearances: the appearance images.
        semantics: of the pair.
        evenness: how far small parts count as much as large ones, in [0, 1].
        random: draws pixels, on the CPU.
        strength: how far on that way, in [0, 1].
        mask: 1 where the structure image is painted; None for all.
    """
    height, width = semantics.codes.shape[-2:]
    grid = semantics.structure_grid
    codes = semantics.patch_codes(CODES)
    parts = nearest_centre(codes, k_means(codes, min(PARTS, len(codes)), random))
    matches = torch.softmax(semantics.likeness / TEMPERATURE, 1)
    of_pixels = F.interpolate(
        parts.view(1, 1, *grid).float(), size=(height, width), mode="nearest"
    ).flatten()
    if mask is not None:
        painted = patches_in(mask, grid)
        parts, matches = painted.of(parts), painted.of(matches)
        of_pixels = of_pixels.where(taking_part(mask).flatten(), -1)
        of_pixels = of_pixels.where(torch.isin(of_pixels, parts), -1)
    pixels, wanted, sizes = [], [], []
    for part in of_pixels.unique().long().tolist():  # small pictures have patches without pixels
        if part < 0:
            continue
        own = (of_pixels == part).nonzero()[:, 0]
        drawn = torch.randint(len(own), (SAMPLES,), generator=random)
        pixels.append(own[drawn.to(own.device)])
        chances = matches[parts == part].mean(0).double().cpu()
        patches = torch.multinomial(chances, SAMPLES, replacement=True, generator=random)
        within = torch.rand(2, SAMPLES, generator=random)
        wanted.append(colours_in(appearances, semantics.patches, patches, within))
        sizes.append(len(own))
    places = torch.stack(pixels)
    shares = torch.tensor(sizes, device=places.device).float() ** (1 - evenness)
    projected = projections(torch.stack(wanted)).sort(-1).values
    if strength < 1:
        own = projections(structure[0].flatten(1).T[places]).sort(-1).values
        projected = torch.lerp(own, projected, strength)
    return Palettes(places, projected, shares / shares.sum())


def palette_term(
    output: Float[Tensor, "1 3 height width"], palettes: Palettes
) -> Float[Tensor, ""]:
    """The sliced Wasserstein-1 distance of each part's colours to its palette, the mean over parts.

    Colours of both are projected on fixed directions and compared in their order (Bonneel, Rabin,
    Peyré, Pfister, "Sliced and Radon Wasserstein barycenters of measures", 2015).
    """
    colours = rows_at(output[0].flatten(1).T, palettes.pixels.flatten())
    colours = colours.unflatten(0, palettes.pixels.shape)
    ours = projections(colours, palettes.directions).sort(-1).values
    apart = (ours - palettes.wanted).abs().mean((1, 2))
    return (palettes.weights * apart).sum()


def projections(
    colours: Float[Tensor, "parts samples 3"],
    along: Float[Tensor, "3 directions"] | None = None,
) -> Float[Tensor, "parts directions samples"]:
    """Colours along directions, by default `directions`."""
    along = directions().to(colours) if along is None else along
    return along.T @ colours.mT


def directions() -> Float[Tensor, "3 directions"]:
    """Directions that are spread evenly over a half sphere (Fibonacci's spiral)."""
    number = torch.arange(DIRECTIONS, dtype=torch.float64) + 0.5
    z = number / DIRECTIONS
    turn = math.pi * (1 + 5**0.5) * number
    around = (1 - z**2).sqrt()
    return torch.stack([around * turn.cos(), around * turn.sin(), z])
