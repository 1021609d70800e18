"""Which patches of two pictures mean the same: likeness of their tokens, and what neighbours say.

A token alone mistakes a cheek for a chin and one side of a face for the other. Neighbours do not: where
a patch answers to another, the patch to its left answers to the one to its left, or, in a picture that
looks the other way, to its right.
"""

from collections.abc import Sequence
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from splice.method.appearances import Grid, Patches

NEIGHBOURS, NEAR = 4, 2.5
"""How far neighbours lie at most, in patches, down and across, and the deviation of what they count."""

ALIKE = 0.5
"""By how much less alike, in cosine, neighbours of another kind count e times less: those beyond an
outline have little to say."""

ITSELF = 0.3
"""How much the patch's own likeness counts beside that of its neighbourhood."""

UPRIGHT, ABOUT = 16.0, 0.15
"""What a patch loses for a counterpart at another height: skies are above. It is so many times the
square of what heights, from 0 to 1, differ beyond `ABOUT`."""

CROWDED, CLOSEST = 0.5, 10
"""What a patch of theirs loses for being like many: this share of its mean likeness to the closest."""

SPREAD = 1.55
"""By which likeness is divided at last, so that it has a deviation of about 1 at one height."""


def correspondence(
    ours: Float[Tensor, "patches width"],
    theirs: Float[Tensor, "others width"],
    grid: Grid,
    other_grid: Grid,
) -> Float[Tensor, "patches others"]:
    """Likeness in meaning of two pictures' patches, as `correspondence_to_all` tells it."""
    return correspondence_to_all(ours, [theirs], grid, [Patches(other_grid)])


def correspondence_to_all(
    ours: Float[Tensor, "patches width"],
    theirs: Sequence[Float[Tensor, "_ width"]],
    grid: Grid,
    others: Sequence[Patches],
) -> Float[Tensor, "patches others"]:
    """Likeness in meaning, of a deviation of about 1 between patches of one height.

    A patch of theirs that resembles everything would be everybody's counterpart, and rare ones, such as
    a nose or the rim of a cup, nobody's. So each loses by how alike it is to those that are most like
    it (Conneau et al., "Word Translation Without Parallel Data", ICLR 2018, section 2.3).

    Args:
        ours: tokens of length 1, row by row.
        theirs: those of one or several other pictures.
        grid: rows and columns of ours.
        others: which of theirs take part; they come out side by side, picture after picture.
    """
    rows = _heights(grid, ours)
    columns = []
    for tokens, patches in zip(theirs, others, strict=True):
        alone = ours @ tokens.T
        together = torch.maximum(
            *(consensus(alone, ours, grid, patches, mirrored) for mirrored in (False, True))
        )
        heights = rows[:, None] - _heights(patches.grid, ours)
        apart = (heights.abs() - ABOUT).clamp_min(0).square()
        columns.append([patches.of(each.T).T for each in (alone, together, apart)])
    alone, together, apart = (torch.cat(each, 1) for each in zip(*columns, strict=True))
    likeness = _standard(together) + ITSELF * _standard(alone) - UPRIGHT * apart
    closest = likeness.topk(min(CLOSEST, len(likeness)), 0).values.mean(0)
    return (likeness - CROWDED * closest) / SPREAD


def consensus(
    likeness: Float[Tensor, "patches others"],
    ours: Float[Tensor, "patches width"],
    grid: Grid,
    others: Patches,
    mirrored: bool,
) -> Float[Tensor, "patches others"]:
    """The mean likeness of patches moved alike in both pictures, within `NEIGHBOURS` of each pair.

    After neighbourhood consensus (Rocco et al., "Neighbourhood Consensus Networks", NeurIPS 2018), with
    weights that are fixed: exp((cos(x_i, x_j) - 1) / `ALIKE` - d^2 / (2 `NEAR`^2)) for the neighbour j
    of the patch i, d patches away.

    Args:
        likeness: of single patches.
        ours: tokens of length 1 of the patches.
        grid: rows and columns of the patches.
        others: which of the others take part; those that do not have no say.
        mirrored: whether a move to the right answers to one to the left.
    """
    pairs, tokens = likeness.view(*grid, *others.grid), ours.view(*grid, -1)
    heard = None
    if others.inside is not None:
        heard = torch.zeros(others.grid).to(pairs).flatten().index_fill(0, others.inside, 1)
        heard = heard.view(others.grid)
    summed, weights = torch.zeros_like(pairs), torch.zeros_like(pairs)
    moves = range(-NEIGHBOURS, NEIGHBOURS + 1)
    for down, across in product(moves, moves):
        sides = (down, across, down, -across if mirrored else across)
        if any(abs(move) >= side for move, side in zip(sides, pairs.shape, strict=True)):
            continue
        here = tuple(_kept(move, side) for move, side in zip(sides, pairs.shape, strict=True))
        there = tuple(_kept(-move, side) for move, side in zip(sides, pairs.shape, strict=True))
        alike = (tokens[here[:2]] * tokens[there[:2]]).sum(-1)
        far = (down**2 + across**2) / (2 * NEAR**2)
        weight = ((alike - 1) / ALIKE - far).exp()[:, :, None, None]
        if heard is not None:
            weight = weight * heard[there[2:]]
        summed[here] += weight * pairs[there]
        weights[here] += weight
    if heard is not None:
        weights = weights.clamp_min(1e-6)
    return (summed / weights).view(likeness.shape)


def _heights(grid: Grid, like: Tensor) -> Float[Tensor, " patches"]:
    """Of the middles of patches, from 0 at the top to 1."""
    return ((torch.arange(grid[0]) + 0.5) / grid[0])[:, None].expand(grid).flatten().to(like)


def _kept(move: int, side: int) -> slice:
    """Places of a side from which a move stays inside."""
    return slice(max(0, -move), side - max(0, move))


def _standard(values: Tensor) -> Tensor:
    return (values - values.mean()) / values.std().clamp_min(1e-6)
