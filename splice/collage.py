"""The appearance image cut to pieces and laid out like the structure image.

Matches of single patches take a little from everywhere, and the mean of what they take is a blur: red
bushes in a green meadow become brown grass. But neighbours in one picture mostly belong to neighbours
in the other. Once each patch has settled on what its neighbours agree with, whole pieces of the
appearance image lie in their places, with seams between them.
"""

from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splice.consensus import mean_around
from splice.matching import balance, matching

ROUNDS = 16
"""Rounds in which patches come to agree with their neighbours."""

BALANCING_ROUNDS = 4
"""Between two of these rounds; the shares start from where they were."""

OVERLAP = 2
"""Patches that a piece reaches beyond its own, in each direction."""

FEATHER = 0.5
"""Deviation of the weight of a piece about its middle, of a patch's side."""

CODES = 8
"""Channels of the codes of meaning, the first ones, by which parts are told apart."""

UNLIKE = 0.3
"""Difference of codes at which a piece loses 40 % of its weight."""

OUTSIDE = 1e6
"""What pieces lose whose patch there is not."""

APART = 3
"""Patches, along rows or columns, within which a piece is not exchanged."""

ELSEWHERE = -4.0
"""Similarity of patches that are too near, less than of any others."""

BLOB = 3
"""Patches along the parts of a `disordered` picture that stay or go together, about."""


@torch.no_grad()
def coherent_matches(
    similarity: Float[Tensor, "patches others"],
    grid: tuple[int, int],
    other_grid: tuple[int, int],
    temperature: float,
    reach: float,
    coherence: float,
) -> Float[Tensor, "patches others"]:
    """How likely each patch's look comes from each patch of the other picture, neighbours agreeing.

    Starts from `matching.matching` and repeats it with similarities that gain up to `coherence` (a
    little more in each round) where the patches beside a patch are matched with those beside the other:
    relaxation labelling (Rosenfeld, Hummel, Zucker, "Scene Labeling by Relaxation Operations", 1976).
    In the end nearly all of a row is in one place.

    Args:
        similarity: of patches, as `Semantics.similarity`; rows and columns run over grids row by row.
        grid: rows and columns of the patches.
        other_grid: those of the other picture's.
        temperature: as in `matching`.
        reach: as in `matching`.
        coherence: similarity that the agreement of all neighbours is worth; 0 for `matching` itself.

    Returns:
        Probabilities; rows sum to 1.
    """
    matches = matching(similarity, temperature, reach)
    if coherence == 0:
        return matches
    given_up = torch.zeros_like(similarity[0])
    for done in range(1, ROUNDS + 1):
        beside = mean_around(matches.reshape(*grid, *other_grid), 1, itself=False)
        agreed = beside.reshape(matches.shape)
        sure = agreed.amax(1, keepdim=True).clamp_min(torch.finfo(agreed.dtype).tiny)
        gained = similarity + coherence * done / ROUNDS * agreed / sure
        given_up = balance(gained, temperature, reach, given_up, BALANCING_ROUNDS)
        matches = ((gained + given_up) / temperature).softmax(-1)
    return matches


def laid_out(
    image: Float[Tensor, "1 3 rows columns"],
    codes: Float[Tensor, "1 channels rows columns"],
    chosen: Int[Tensor, " patches"],
    grids: tuple[tuple[int, int], tuple[int, int]],
    meaning: Float[Tensor, "1 channels height width"],
) -> Float[Tensor, "1 3 height width"]:
    """The pieces of an image that patches have chosen, each in its place.

    A piece is as large as it is in the image, and reaches over the patches around. Where pieces
    overlap, their mean counts, with a weight that falls from a piece's middle, and with the
    difference between what the piece shows at a pixel and what the pixel means: outlines of pieces give
    way to those of the picture that they are laid out for.

    Args:
        image: to cut from, in [0, 1].
        codes: what its pixels mean, in units of their deviation; the first `CODES` channels count.
        chosen: the patch of the image for each patch to fill, row by row.
        grids: rows and columns of patches to fill, and of the image's.
        meaning: codes that the pixels to fill should have.
    """
    (grid, other_grid), (height, width) = grids, meaning.shape[-2:]
    wanted = meaning[:, :CODES].to(image)
    source = torch.cat([image, codes[:, :CODES].to(image)], 1)
    sides = height / grid[0], width / grid[1]
    rows, columns = (
        torch.arange(length, device=image.device, dtype=image.dtype) + 0.5
        for length in (height, width)
    )
    sums, weights = image.new_zeros(1, 3, height, width), image.new_zeros(1, 1, height, width)
    largest = image.new_full((1, 1, height, width), -torch.inf)
    for down, right in product(range(-OVERLAP, OVERLAP + 1), repeat=2):
        row, column = (rows / sides[0]).long() + down, (columns / sides[1]).long() + right
        below, beside = rows - (row + 0.5) * sides[0], columns - (column + 0.5) * sides[1]
        far = _far(below / sides[0], row, grid[0])[:, None] + _far(
            beside / sides[1], column, grid[1]
        )
        row, column = row.clamp(0, grid[0] - 1), column.clamp(0, grid[1] - 1)
        piece = chosen[row[:, None] * grid[1] + column]
        top = (piece // other_grid[1] + 0.5) / other_grid[0] + below[:, None] / image.shape[-2]
        left = (piece % other_grid[1] + 0.5) / other_grid[1] + beside / image.shape[-1]
        places = torch.stack([left, top], -1)[None] * 2 - 1
        cut = F.grid_sample(source, places, padding_mode="border", align_corners=False)
        unlike = (cut[:, 3:] - wanted).square().mean(1, keepdim=True)
        power = -far - unlike / (2 * UNLIKE**2)
        # A softmax whose pieces come one by one, so that they need not all be kept.
        rising = torch.maximum(largest, power)
        kept, weight = (largest - rising).exp(), (power - rising).exp()
        sums, weights, largest = kept * sums + weight * cut[:, :3], kept * weights + weight, rising
    return sums / weights


def disordered(
    similarity: Float[Tensor, "patches patches"],
    grid: tuple[int, int],
    matches: Callable[[Tensor], Float[Tensor, "patches patches"]],
    generator: torch.Generator,
) -> Int[Tensor, " patches"]:
    """Half of a picture's patches in their places, and in the others patches that mean the same.

    A generator that restores the picture from what is `laid_out` so learns to make whole what was cut
    to pieces.

    Args:
        similarity: of the picture's patches with each other.
        grid: rows and columns of its patches.
        matches: what makes matches of similarities, such as `coherent_matches`.
        generator: on the host; says which parts are replaced.
    """
    other = matches(elsewhere(similarity, grid)).argmax(1)
    place = torch.arange(len(similarity), device=similarity.device)
    size = [max(1, side // BLOB) for side in grid]
    blobs = F.interpolate(torch.randn(1, 1, *size, generator=generator), size=grid, mode="bicubic")
    stay = (blobs < blobs.median()).flatten().to(similarity.device)
    return torch.where(stay, place, other)


def elsewhere(
    similarity: Float[Tensor, "patches patches"], grid: tuple[int, int]
) -> Float[Tensor, "patches patches"]:
    """The similarity of a picture's patches with each other, in which near ones are nothing alike.

    Args:
        similarity: rows and columns run over the grid row by row.
        grid: rows and columns of the patches; those within `APART` of each other are near.
    """
    place = torch.arange(len(similarity), device=similarity.device)
    row, column = place // grid[1], place % grid[1]
    near = torch.maximum((row[:, None] - row).abs(), (column[:, None] - column).abs()) <= APART
    return similarity.masked_fill(near, ELSEWHERE)


def agreement(
    chosen: Int[Tensor, " patches"], grid: tuple[int, int], columns: int
) -> Float[Tensor, "1 1 rows columns"]:
    """The share of the eight patches around each that have chosen what lies beside its own choice.

    1 inside a piece that is larger than a patch, and 0 for a patch that stands alone.

    Args:
        chosen: the other picture's patch for each, row by row.
        grid: rows and columns of the patches.
        columns: of the other picture's patches.
    """
    places = torch.stack([chosen // columns, chosen % columns]).reshape(2, *grid)
    agreed = places.new_zeros(grid, dtype=torch.float32)
    neighbours = torch.zeros_like(agreed)
    for down, right in product((-1, 0, 1), repeat=2):
        if down == right == 0:
            continue
        here, there = _beside(down, grid[0]), _beside(right, grid[1])
        move = places[:, here[1], there[1]] - places[:, here[0], there[0]]
        agreed[here[0], there[0]] += (move[0] == down) & (move[1] == right)
        neighbours[here[0], there[0]] += 1
    return (agreed / neighbours.clamp_min(1))[None, None]


def _beside(move: int, length: int) -> tuple[slice, slice]:
    """The places along a side that have another `move` further on, and those others."""
    start, end = max(0, -move), length - max(0, move)
    return slice(start, end), slice(start + move, end + move)


def _far(
    distance: Float[Tensor, " pixels"], index: Int[Tensor, " pixels"], count: int
) -> Float[Tensor, " pixels"]:
    """What a weight loses by distance in patches, as a power of e; patches there are not lose all."""
    outside = (index < 0) | (index >= count)
    return distance**2 / (2 * FEATHER**2) + OUTSIDE * outside
