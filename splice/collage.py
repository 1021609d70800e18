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
from splice.semantics import balance, matching

ROUNDS = 16
"""In which patches come to agree with their neighbours; more change next to nothing."""

BALANCING_ROUNDS = 4
"""Between two of these rounds; the shares start from where they were."""

FEATHER = 0.2
"""Deviation of the weight of a piece about its middle, of a patch's side: seams a few pixels wide."""

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

    Starts from `semantics.matching` and repeats it with similarities that gain up to `coherence` (a
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
    chosen: Int[Tensor, " patches"],
    grid: tuple[int, int],
    other_grid: tuple[int, int],
    size: tuple[int, int],
) -> Float[Tensor, "1 3 height width"]:
    """The pieces of an image that patches have chosen, each in its place.

    A piece is as large as it is in the image, and reaches over the patches around, with a weight that
    falls from its middle as a normal distribution of deviation `FEATHER`; what is asked for beyond the
    image's border is the border.

    Args:
        image: to cut from, in [0, 1].
        chosen: the patch of the image for each patch, row by row over `grid`.
        grid: rows and columns to fill.
        other_grid: those of the image's patches.
        size: height and width of the result, in pixels.
    """
    (height, width), sides = size, (size[0] / grid[0], size[1] / grid[1])
    rows, columns = (
        torch.arange(length, device=image.device, dtype=image.dtype) + 0.5 for length in size
    )
    sums = image.new_zeros(1, 3, height, width)
    weights = image.new_zeros(1, 1, height, width)
    for down, right in product((-1, 0, 1), repeat=2):
        row, column = (rows / sides[0]).long() + down, (columns / sides[1]).long() + right
        below, beside = rows - (row + 0.5) * sides[0], columns - (column + 0.5) * sides[1]
        weight = _falling(below / sides[0], row, grid[0])[:, None]
        weight = weight * _falling(beside / sides[1], column, grid[1])
        row, column = row.clamp(0, grid[0] - 1), column.clamp(0, grid[1] - 1)
        piece = chosen[row[:, None] * grid[1] + column]
        top = (piece // other_grid[1] + 0.5) / other_grid[0] + below[:, None] / image.shape[-2]
        left = (piece % other_grid[1] + 0.5) / other_grid[1] + beside / image.shape[-1]
        places = torch.stack([left, top], -1)[None] * 2 - 1
        cut = F.grid_sample(image, places, padding_mode="border", align_corners=False)
        sums += weight * cut
        weights += weight
    return sums / weights


def disordered(
    image: Float[Tensor, "1 3 rows columns"],
    similarity: Float[Tensor, "patches patches"],
    grid: tuple[int, int],
    matches: Callable[[Tensor], Float[Tensor, "patches patches"]],
    generator: torch.Generator,
) -> Float[Tensor, "1 3 rows columns"]:
    """A picture half of which is replaced by other pieces of itself.

    A generator that restores the picture from it learns to make whole what was cut to pieces.

    Args:
        image: the picture, in [0, 1].
        similarity: of its patches with each other.
        grid: rows and columns of its patches.
        matches: what makes matches of similarities, such as `coherent_matches`.
        generator: on the host; says which parts are replaced.
    """
    rows, columns = grid
    place = torch.arange(rows * columns, device=image.device)
    row, column = place // columns, place % columns
    near = torch.maximum((row[:, None] - row).abs(), (column[:, None] - column).abs()) <= APART
    other = matches(similarity.masked_fill(near, ELSEWHERE)).argmax(1)
    size = [max(1, side // BLOB) for side in grid]
    blobs = F.interpolate(torch.randn(1, 1, *size, generator=generator), size=grid, mode="bicubic")
    stay = (blobs < blobs.median()).flatten().to(image.device)
    chosen = torch.where(stay, place, other)
    return laid_out(image, chosen, grid, grid, (image.shape[-2], image.shape[-1]))


def _falling(
    distance: Float[Tensor, " pixels"], index: Int[Tensor, " pixels"], count: int
) -> Float[Tensor, " pixels"]:
    """Weights by distance in patches; 0 for patches that there are not."""
    exists = (index >= 0) & (index < count)
    return torch.exp(-(distance**2) / (2 * FEATHER**2)) * exists
