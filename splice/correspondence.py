"""What corresponds in two pictures: matches of patches that hang together, and where they lie."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.collage import CODES
from splice.distinctness import distinctness
from splice.labelling import bonds, settled
from splice.matching import shared_out
from splice.placement import Placement, placement
from splice.settings import Meaning


@dataclass(frozen=True)
class Correspondence:
    """Of the patches of a picture with those of another.

    `matches` is how likely each patch's look comes from each of the other's, rows sum to 1;
    `kindred` the same by meaning alone, whatever neighbours say, for means that are wrong nowhere;
    `placement` where each lies, for what is cut out rather than averaged; `distinct` which have a
    counterpart of their own, as an eye has, in [0, 1].
    """

    matches: Float[Tensor, "patches others"]
    kindred: Float[Tensor, "patches others"]
    placement: Placement
    distinct: Float[Tensor, "1 1 rows columns"]


@torch.no_grad()
def correspondence(
    likeness: Float[Tensor, "2 patches others"],
    codes: Float[Tensor, "1 channels height width"],
    grid: tuple[int, int],
    other_grid: tuple[int, int],
    settings: Meaning,
) -> Correspondence:
    """Matches of patches and their neighbours, and where they lie.

    Patches of the other picture that many would take become less alike to all, and those that few would
    take more alike, as in `matching.matching`, before neighbours settle on what hangs together.

    Args:
        likeness: of patches as they are and in the mirror, see `Semantics`.
        codes: what the picture's pixels mean.
        grid: rows and columns of the patches.
        other_grid: those of the other picture's.
        settings: how much is given up for equal shares, what stretching and tearing costs, and how
            sharp matches and means are.
    """
    alike = likeness.amax(0)
    given_up = shared_out(alike, settings.temperature, settings.reach)
    kindred = ((alike + given_up) / settings.breadth).softmax(1)
    costs = -(likeness + given_up).transpose(0, 1).reshape(*grid, 2, *other_grid)
    means = F.interpolate(codes[:, :CODES].float(), size=grid, mode="area")
    costs = settled(costs, *bonds(means), settings.stretch, settings.tear)
    matches = (-costs.flatten(2) / settings.temperature).softmax(2).unflatten(2, (2, -1)).sum(2)
    placed = placement(costs, means, settings.temperature)
    distinct = distinctness(likeness, grid, other_grid)
    return Correspondence(matches.flatten(0, 1), kindred, placed, distinct)
