"""The appearance image cut to pieces and laid out like the structure image.

Matches of single patches take a little from everywhere, and the mean of what they take is a blur: red
bushes in a green meadow become brown grass. But neighbours in one picture mostly belong to neighbours
in the other (`splice.labelling`), so whole pieces of the appearance image, bent as need be, lie in
their places, with seams between them.
"""

from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splice.objective import means_around
from splice.placement import Placement

OVERLAP = 2
"""Patches that a piece reaches beyond its own, in each direction."""

FEATHER, VEIL = 0.4, 0.9
"""Deviations of the weight of a piece about its middle, in patches: for its detail, and the rest."""

WIDE = 2
"""Patches in each direction over which colours are averaged, twice, for what is left without detail:
eyes and noses are detail, and clouds are not."""

CODES = 8
"""Channels of the codes of meaning, the first ones, by which parts are told apart."""

UNLIKE = 0.3
"""Difference of codes at which a piece loses 40 % of its weight."""

OUTSIDE = 1e6
"""Square of the distance of patches there are not."""

APART = 3
"""Patches, along rows or columns, within which a piece is not exchanged."""

ELSEWHERE = -4.0
"""Similarity of patches that are too near, less than of any others."""

BLOB = 3
"""Patches along the parts of a picture that stay or go together, about, see `staying`."""


def laid_out(
    image: Float[Tensor, "1 3 rows columns"],
    codes: Float[Tensor, "1 channels rows columns"],
    placed: Placement,
    other_grid: tuple[int, int],
    meaning: Float[Tensor, "1 channels height width"],
) -> Float[Tensor, "1 3 height width"]:
    """The pieces of an image that patches take, each in its place: colours in [0, 1].

    A piece is stretched as its placement says, and reaches over the patches around. Where pieces
    overlap, their mean counts, with a weight that falls from a piece's middle, and with the
    difference between what the piece shows at a pixel and what the pixel means: outlines of pieces give
    way to those of the picture that they are laid out for. Detail changes quickly from one piece to the
    next, so that nothing shows through, and what is left without it slowly, so that a sky has no seams:
    two bands of Burt and Adelson, "A Multiresolution Spline With Application to Image Mosaics" (1983).

    Args:
        image: to cut from, in [0, 1].
        codes: what its pixels mean, in units of their deviation: the first `CODES` channels.
        placed: where in the image each patch to fill lies.
        other_grid: rows and columns of the image's patches.
        meaning: codes that the pixels to fill should have, of the same channels.
    """
    grid, (height, width) = placed.places.shape[:2], meaning.shape[-2:]
    veil = _without_detail(image, other_grid)
    source = torch.cat([veil, image - veil, codes.to(image)], 1)
    rows, columns = (
        (torch.arange(length, device=image.device, dtype=image.dtype) + 0.5) / length * count
        for length, count in ((height, grid[0]), (width, grid[1]))
    )
    pixels = image.new_zeros(1, 1, height, width)
    smooth, sharp = _Mean(VEIL, pixels), _Mean(FEATHER, pixels)
    sides = image.new_tensor(other_grid)
    for down, right in product(range(-OVERLAP, OVERLAP + 1), repeat=2):
        row, column = rows.long() + down, columns.long() + right
        below, beside = rows - (row + 0.5), columns - (column + 0.5)
        far = _far(below, row, grid[0])[:, None] + _far(beside, column, grid[1])
        row, column = row.clamp(0, grid[0] - 1), column.clamp(0, grid[1] - 1)
        slopes = placed.slopes[row][:, column]
        at = placed.places[row][:, column] + slopes[..., 0] * below[:, None, None]
        at = (at + slopes[..., 1] * beside[:, None] + 0.5) / sides
        points = at.flip(-1)[None] * 2 - 1
        # Cubic, as a mean of the four pixels around would take a fifth of the finest detail.
        cut = F.grid_sample(source, points, "bicubic", "border", align_corners=False)
        unlike = (cut[:, 6:] - meaning).square().mean(1, keepdim=True) / (2 * UNLIKE**2)
        smooth.add(cut[:, :3], far, unlike)
        sharp.add(cut[:, 3:6], far, unlike)
    return (smooth.found() + sharp.found()).clamp(0, 1)


class _Mean:
    """A mean of pieces that come one by one: a softmax of which they need not all be kept."""

    def __init__(self, feather: float, pixels: Float[Tensor, "1 1 height width"]) -> None:
        """Of none yet.

        Args:
            feather: deviation of the weight of a piece with distance, in patches.
            pixels: zeros, one for each pixel.
        """
        self._feather = feather
        self._sums, self._weights, self._largest = pixels, pixels, pixels - torch.inf

    def add(
        self,
        piece: Float[Tensor, "1 channels height width"],
        far: Float[Tensor, "height width"],
        lost: Float[Tensor, "1 1 height width"],
    ) -> None:
        """Adds a piece of which pixels are so far from its middle (squared), and lose powers of e."""
        power = -far / (2 * self._feather**2) - lost
        rising = torch.maximum(self._largest, power)
        kept, weight = (self._largest - rising).exp(), (power - rising).exp()
        self._sums = kept * self._sums + weight * piece
        self._weights = kept * self._weights + weight
        self._largest = rising

    def found(self) -> Float[Tensor, "1 channels height width"]:
        """The mean of all that were added."""
        return self._sums / self._weights


def _without_detail(
    image: Float[Tensor, "1 3 rows columns"], grid: tuple[int, int]
) -> Float[Tensor, "1 3 rows columns"]:
    """Means around, and of these again, each as far as `WIDE` patches."""
    radius = max(1, round(WIDE * min(image.shape[-2] / grid[0], image.shape[-1] / grid[1])))
    return means_around(means_around(image, radius), radius)


def staying(grid: tuple[int, int], generator: torch.Generator) -> Bool[Tensor, "rows columns"]:
    """Half of a picture's patches, in blobs.

    A generator that restores a picture, of which these are in their places, and the others are replaced
    by what means the same, learns to make whole what was cut to pieces.

    Args:
        grid: rows and columns of its patches.
        generator: on the host; says which.
    """
    size = [max(1, side // BLOB) for side in grid]
    blobs = F.interpolate(torch.randn(1, 1, *size, generator=generator), size=grid, mode="bicubic")
    return (blobs < blobs.median())[0, 0]


def elsewhere(
    likeness: Float[Tensor, "*facing patches patches"], grid: tuple[int, int]
) -> Float[Tensor, "*facing patches patches"]:
    """The likeness of a picture's patches with each other, in which near ones are nothing alike.

    Args:
        likeness: rows and columns run over the grid row by row.
        grid: rows and columns of the patches; those within `APART` of each other are near.
    """
    place = torch.arange(likeness.shape[-1], device=likeness.device)
    row, column = place // grid[1], place % grid[1]
    near = torch.maximum((row[:, None] - row).abs(), (column[:, None] - column).abs()) <= APART
    return likeness.masked_fill(near, ELSEWHERE)


def _far(
    distance: Float[Tensor, " pixels"], index: Int[Tensor, " pixels"], count: int
) -> Float[Tensor, " pixels"]:
    """The square of a distance in patches; patches there are not are far away."""
    outside = (index < 0) | (index >= count)
    return distance**2 + OUTSIDE * outside
