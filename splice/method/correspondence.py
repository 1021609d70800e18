"""Which patches of two pictures mean the same: likeness of their tokens, and what neighbours say.

A token alone mistakes a cheek for a chin and one side of a face for the other. Neighbours do not: where
a patch answers to another, the patch to its left answers to the one to its left, or, in a picture that
looks the other way, to its right.
"""

from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

NEIGHBOURS = 4
"""How far neighbours lie at most, in patches, down and across."""

ALIKE = 0.5
"""By how much less alike, in cosine, neighbours of another kind count e times less: those beyond an
outline have little to say."""

ITSELF = 0.3
"""How much the patch's own likeness counts beside that of its neighbourhood."""

UPRIGHT = 4.0
"""What a patch at the top loses for a counterpart at the bottom, in deviations: skies are above."""

CROWDED, CLOSEST = 0.5, 10
"""What a patch loses for being like many, as a share of its mean likeness to the closest."""

Grid = tuple[int, int]


def correspondence(
    ours: Float[Tensor, "patches width"],
    theirs: Float[Tensor, "others width"],
    grid: Grid,
    other_grid: Grid,
) -> Float[Tensor, "patches others"]:
    """Likeness in meaning, of mean 0 and deviation 1.

    A patch of theirs that resembles everything would be everybody's counterpart, and rare ones, such as
    a nose or the rim of a cup, nobody's. So each loses by how alike it is to those that are most like
    it (Conneau et al., "Word Translation Without Parallel Data", ICLR 2018, section 2.3).

    Args:
        ours: tokens of length 1, row by row.
        theirs: the other picture's.
        grid: rows and columns of ours.
        other_grid: of theirs.
    """
    alone = ours @ theirs.T
    together = torch.maximum(
        *(consensus(alone, ours, grid, other_grid, mirrored) for mirrored in (False, True))
    )
    rows, others = (
        ((torch.arange(g[0]) + 0.5) / g[0])[:, None].expand(g).flatten().to(ours)
        for g in (grid, other_grid)
    )
    apart = (rows[:, None] - others).square()
    likeness = _standard(together) + ITSELF * _standard(alone) - UPRIGHT * apart
    closest = likeness.topk(min(CLOSEST, len(likeness)), 0).values.mean(0)
    return _standard(likeness - CROWDED * closest)


def consensus(
    likeness: Float[Tensor, "patches others"],
    ours: Float[Tensor, "patches width"],
    grid: Grid,
    other_grid: Grid,
    mirrored: bool,
) -> Float[Tensor, "patches others"]:
    """The mean likeness of patches moved alike in both pictures, within `NEIGHBOURS` of each pair.

    After neighbourhood consensus (Rocco et al., "Neighbourhood Consensus Networks", NeurIPS 2018), with
    weights that are fixed: exp((cos(x_i, x_j) - 1) / `ALIKE`) for the neighbour j of the patch i.

    Args:
        likeness: of single patches.
        ours: tokens of length 1 of the patches.
        grid: rows and columns of the patches.
        other_grid: of the others.
        mirrored: whether a move to the right answers to one to the left.
    """
    pairs, tokens = likeness.view(*grid, *other_grid), ours.view(*grid, -1)
    summed, weights = torch.zeros_like(pairs), torch.zeros_like(pairs)
    moves = range(-NEIGHBOURS, NEIGHBOURS + 1)
    for down, across in product(moves, moves):
        sides = (down, across, down, -across if mirrored else across)
        if any(abs(move) >= side for move, side in zip(sides, pairs.shape, strict=True)):
            continue
        here = tuple(_kept(move, side) for move, side in zip(sides, pairs.shape, strict=True))
        there = tuple(_kept(-move, side) for move, side in zip(sides, pairs.shape, strict=True))
        alike = (tokens[here[:2]] * tokens[there[:2]]).sum(-1)
        weight = ((alike - 1) / ALIKE).exp()[:, :, None, None]
        summed[here] += weight * pairs[there]
        weights[here] += weight
    return (summed / weights).view(likeness.shape)


def _kept(move: int, side: int) -> slice:
    """Places of a side from which a move stays inside."""
    return slice(max(0, -move), side - max(0, move))


def _standard(values: Tensor) -> Tensor:
    return (values - values.mean()) / values.std().clamp_min(1e-6)
