"""What is where in a pair: codes of meaning for every pixel, and which parts correspond.

The deepest keys of both pictures, seen larger than during the optimisation, are reduced by one PCA to
a few channels: the same part gets the same code in both. The coarse grid of patches is brought to
pixels by a guided filter, so that codes change where the picture has edges.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splice.consensus import neighbourhood_consensus
from splice.features import FrozenViT
from splice.objective import brightness
from splice.settings import Meaning

Image = Float[Tensor, "1 3 height width"]


BALANCING_ROUNDS = 60
"""Enough for the shares to settle within a thousandth, on the mean."""

LARGEST_POWER = 20
"""Up to this power of e, columns are balanced by products, which take a tenth of the time of sums of
exponentials."""

LIKENESS = 0.1
"""Temperature of the softmax of cosines that says which patches of a picture mean the same."""

GUIDED_SIDE = 512
"""Short side, in pixels, at which the guided filter looks at larger pictures."""

CHANNELS_AT_ONCE = 4
"""Of a large picture's codes, which bounds the memory of making them."""


@dataclass(frozen=True)
class Semantics:
    """Meaning of a pair's pixels and patches.

    `structure_codes` and `appearance_codes` have variance 1 per channel over both pictures,
    and lie in memory channels last, where pixels are looked up.
    `similarity` is the cosine of keys, each picture's centred on their own mean, less `Meaning.light`
    times the difference of their `relative_light`, and then the mean of that over the patches around;
    structure patches by appearance patches, patches row by row over the grids. `appearance_keys`
    are the keys of that cosine, of length 1.
    """

    structure_codes: Float[Tensor, "1 channels height width"]
    appearance_codes: Float[Tensor, "1 channels rows columns"]
    similarity: Float[Tensor, "structure_patches appearance_patches"]
    structure_grid: tuple[int, int]
    appearance_grid: tuple[int, int]
    appearance_keys: Float[Tensor, "appearance_patches key_channels"]

    def codes(self, role: str) -> Float[Tensor, "1 channels ..."]:
        """The codes of the "structure" or the "appearance" image."""
        return self.structure_codes if role == "structure" else self.appearance_codes

    def grid(self, role: str) -> tuple[int, int]:
        """Rows and columns of the patches of the "structure" or the "appearance" image."""
        return self.structure_grid if role == "structure" else self.appearance_grid

    def structure_patch(
        self, top: Float[Tensor, "*points"], left: Float[Tensor, "*points"]
    ) -> Int[Tensor, "*points"]:
        """The structure image's patches under points, which are given in fractions of its sides."""
        rows, columns = self.structure_grid
        row = (top * rows).long().clamp(0, rows - 1)
        return row * columns + (left * columns).long().clamp(0, columns - 1)


@torch.no_grad()
def find_semantics(
    vit: FrozenViT,
    structure: Float[Tensor, "1 3 height width"],
    appearance: Float[Tensor, "1 3 rows columns"],
    settings: Meaning,
) -> Semantics:
    """Codes and correspondence of a pair (images in [0, 1]).

    Keys are averaged over the picture and its mirror image, which halves what they owe to position.
    """
    grids, keys = [], []
    for image in (structure, appearance):
        both = torch.cat([image, image.flip(-1)])
        features = vit(
            both, keys=[vit.blocks], short_side=settings.short_side, long_side=settings.long_side
        )
        rows, columns = features.grid
        on_grid = features.keys[vit.blocks][:, 1:].float().reshape(2, rows, columns, -1)
        keys.append(((on_grid[0] + on_grid[1].flip(1)) / 2).flatten(0, 1))
        grids.append(features.grid)
    # Each picture's own mean goes: summer and winter differ in all keys, and the parts must still meet.
    keys = [each - each.mean(0) for each in keys]
    codes = [
        guided_upsampling(_on_grid(each, grid), image, settings.radius, settings.tolerance)
        for each, grid, image in zip(
            _whitened(keys, settings.channels), grids, (structure, appearance), strict=True
        )
    ]
    codes = [each.contiguous(memory_format=torch.channels_last) for each in codes]
    unit = [F.normalize(each, dim=-1) for each in keys]
    light = [
        relative_light(image, grid, own)
        for image, grid, own in zip((structure, appearance), grids, unit, strict=True)
    ]
    unlike = (light[0][:, None] - light[1]).abs()
    single = unit[0] @ unit[1].T - settings.light * unlike
    similarity = neighbourhood_consensus(single, grids[0], grids[1], settings.around)
    return Semantics(codes[0], codes[1], similarity, grids[0], grids[1], unit[1])


def relative_light(
    image: Float[Tensor, "1 3 height width"],
    grid: tuple[int, int],
    keys: Float[Tensor, "patches channels"],
) -> Float[Tensor, " patches"]:
    """How much lighter each patch is than those that mean the same, in [-1, 1].

    Its place in the order of light, less the mean place of the picture's patches by likeness in
    meaning. So the light part of a face is matched with the light part of another, though one cat is
    black and the other ginger.

    Args:
        image: the picture, in [0, 1].
        grid: of its patches.
        keys: of length 1, each patch's.
    """
    order = order_of_light(image, grid)
    return order - (keys @ keys.T / LIKENESS).softmax(-1) @ order


def order_of_light(
    image: Float[Tensor, "1 3 height width"], grid: tuple[int, int]
) -> Float[Tensor, " patches"]:
    """The share of a picture's patches that are darker than each patch; equal ones count half."""
    means = F.interpolate(brightness(image), size=grid, mode="area").flatten()
    below = (means[:, None] > means).float().mean(1)
    return below + (means[:, None] == means).float().mean(1) / 2


def matching(
    similarity: Float[Tensor, "patches others"], temperature: float, reach: float = 0.0
) -> Float[Tensor, "patches others"]:
    """How likely each patch's look comes from each patch of the other picture: rows sum to 1.

    Without reach this is a softmax. With it, patches of the other picture that many would take become
    less alike to all, and those that few would take more alike, by `reach` at the most, until all are
    taken equally or the reach is exhausted. An eye is still matched with an eye, however large: only
    what is about as much alike is shared out. This is unbalanced optimal transport whose column sums
    cost `reach` per unit of difference from equal shares (Chizat et al., "Scaling algorithms for
    unbalanced optimal transport problems", 2018, table 1, total variation).

    Args:
        similarity: of patches in meaning, such as the cosine of keys.
        temperature: of the softmax.
        reach: how much similarity is given up, at the most, for equal shares; 0 for none.
    """
    given_up = torch.zeros_like(similarity[0])
    given_up = balance(similarity, temperature, reach, given_up, BALANCING_ROUNDS)
    return ((similarity + given_up) / temperature).softmax(-1)


def balance(
    similarity: Float[Tensor, "patches others"],
    temperature: float,
    reach: float,
    given_up: Float[Tensor, " others"],
    rounds: int,
) -> Float[Tensor, " others"]:
    """What to add to each column of similarities so that all are taken equally, see `matching`.

    Args:
        similarity: of patches in meaning.
        temperature: of the softmax over each row.
        reach: most that is added or taken away.
        given_up: where to start, such as zeros.
        rounds: of the iteration; each sets every column right for what the others are.
    """
    if reach == 0:
        return torch.zeros_like(given_up)
    logits, column, most = similarity / temperature, given_up / temperature, reach / temperature
    share = math.log(logits.shape[0] / logits.shape[1])
    bounded = most <= LARGEST_POWER
    kernel = (logits - logits.amax(1, keepdim=True)).exp() if bounded else None
    for _ in range(rounds):
        if kernel is not None:
            # What is too small for the kernel is too small for any column to come to count.
            taken = (kernel.T @ (kernel @ column.exp()).reciprocal()).log()
        else:
            row = torch.logsumexp(logits + column, 1, keepdim=True)
            taken = torch.logsumexp(logits - row, 0)
        column = (share - taken).clamp(-most, most)
    return column * temperature


def transported(
    maps: Float[Tensor, "1 channels height width"],
    matches: Float[Tensor, "patches others"],
    grid: tuple[int, int],
    other_grid: tuple[int, int],
) -> Float[Tensor, "1 channels rows columns"]:
    """What each patch of `grid` gets, on the mean, of the other picture's colours or other maps."""
    means = F.interpolate(maps, size=other_grid, mode="area")[0].flatten(1)
    return (means @ matches.T).reshape(1, -1, *grid)


def guided_upsampling(
    coarse: Float[Tensor, "1 channels rows columns"],
    guide: Float[Tensor, "1 3 height width"],
    radius: int,
    tolerance: float,
) -> Float[Tensor, "1 channels height width"]:
    """A coarse map at the size of a picture, with the picture's edges.

    Bilinear upsampling, then the guided filter with a colour guide (He, Sun, Tang, "Guided Image
    Filtering", TPAMI 2013, eq. 14-16): in each window the result is an affine function of the guide.
    Of a picture whose short side is above `GUIDED_SIDE` pixels, these functions are found at that size
    and brought to the picture's own (He, Sun, "Fast Guided Filter", 2015).

    Args:
        coarse: the map.
        guide: the picture, in [0, 1].
        radius: of the window in pixels, at that size at most; 0 leaves the bilinear map as it is.
        tolerance: variance of colour below which a window counts as flat.
    """
    height, width = guide.shape[-2:]
    shrink = min(height, width) / GUIDED_SIDE
    if shrink <= 1:
        radius = min(radius, (min(height, width) - 1) // 2)
        if radius == 0:
            return _resized(coarse, (height, width))
        return _applied(*_window_functions(coarse, guide, radius, tolerance), guide)
    if radius == 0:
        return _by_channels([coarse], guide, lambda fine: fine)
    small = F.interpolate(guide, size=(round(height / shrink), round(width / shrink)), mode="area")
    offset, slopes = _window_functions(coarse, small, radius, tolerance)
    return _by_channels([offset, *slopes], guide, lambda o, *s: _applied(o, s, guide))


def _window_functions(
    coarse: Tensor, guide: Tensor, radius: int, tolerance: float
) -> tuple[Tensor, list[Tensor]]:
    """Offset and slopes of the affine functions of the guide, the mean of all windows of a pixel."""
    fine = _resized(coarse, guide.shape[-2:])
    mean_guide, mean_fine = _window_mean(guide, radius), _window_mean(fine, radius)
    variance = {
        (i, j): _window_mean(guide[:, i : i + 1] * guide[:, j : j + 1], radius)
        - mean_guide[:, i : i + 1] * mean_guide[:, j : j + 1]
        + (tolerance if i == j else 0)
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    }
    covariance = [
        _window_mean(guide[:, i : i + 1] * fine, radius) - mean_guide[:, i : i + 1] * mean_fine
        for i in range(3)
    ]
    slopes = _solve_symmetric(variance, covariance)
    offset = mean_fine - sum(slopes[i] * mean_guide[:, i : i + 1] for i in range(3))
    return _window_mean(offset, radius), [_window_mean(slope, radius) for slope in slopes]


def _applied(offset: Tensor, slopes: Sequence[Tensor], guide: Tensor) -> Tensor:
    result = offset
    for i in range(3):
        result = result + slopes[i] * guide[:, i : i + 1]
    return result


def _by_channels(
    maps: list[Tensor], guide: Tensor, function: Callable[..., Tensor]
) -> Float[Tensor, "1 channels height width"]:
    """What a function makes of maps at the size of the guide, a few channels at a time.

    All channels of a pixel lie side by side in the result, where views are cut from it.
    """
    channels, (height, width) = maps[0].shape[1], guide.shape[-2:]
    result = guide.new_empty(1, height, width, channels).movedim(-1, 1)
    for first in range(0, channels, CHANNELS_AT_ONCE):
        some = slice(first, first + CHANNELS_AT_ONCE)
        result[:, some] = function(*(_resized(each[:, some], (height, width)) for each in maps))
    return result


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def _whitened(keys: list[Tensor], channels: int) -> list[Tensor]:
    """Each picture's keys in the principal axes of both, each axis with variance 1."""
    both = torch.cat(keys)
    channels = min(channels, *both.shape)
    # The covariance is small, and its eigenvectors cost less than the singular vectors of all keys.
    values, vectors = torch.linalg.eigh((both.T @ both / len(both)).double().cpu())
    order = values.argsort(descending=True)[:channels]
    axes = vectors[:, order] / values[order].clamp_min(1e-12).sqrt()
    # Eigenvectors have no sign of their own; the largest entry is made positive.
    signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    axes = (axes * signs).to(both)
    return [each @ axes for each in keys]


def _on_grid(values: Tensor, grid: tuple[int, int]) -> Tensor:
    return values.T.reshape(1, -1, *grid)


def _window_mean(x: Tensor, radius: int) -> Tensor:
    # A row and a column of equal weights, one after the other, instead of all of the window at once.
    padded, channels, side = F.pad(x, (radius,) * 4, mode="reflect"), x.shape[1], 2 * radius + 1
    row = x.new_full((channels, 1, 1, side), 1 / side)
    return F.conv2d(F.conv2d(padded, row, groups=channels), row.mT, groups=channels)


def _solve_symmetric(m: dict[tuple[int, int], Tensor], b: list[Tensor]) -> list[Tensor]:
    """Solves M x = b for a symmetric 3×3 matrix in every pixel, by Cramer's rule."""
    a00 = m[1, 1] * m[2, 2] - m[1, 2] * m[1, 2]
    a01 = m[0, 2] * m[1, 2] - m[0, 1] * m[2, 2]
    a02 = m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1]
    a11 = m[0, 0] * m[2, 2] - m[0, 2] * m[0, 2]
    a12 = m[0, 1] * m[0, 2] - m[0, 0] * m[1, 2]
    a22 = m[0, 0] * m[1, 1] - m[0, 1] * m[0, 1]
    determinant = m[0, 0] * a00 + m[0, 1] * a01 + m[0, 2] * a02
    return [
        (a00 * b[0] + a01 * b[1] + a02 * b[2]) / determinant,
        (a01 * b[0] + a11 * b[1] + a12 * b[2]) / determinant,
        (a02 * b[0] + a12 * b[1] + a22 * b[2]) / determinant,
    ]
