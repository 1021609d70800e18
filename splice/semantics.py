"""What is where in a pair: codes of meaning for every pixel, and which parts correspond.

The deepest keys of both pictures, seen larger than during the optimisation, are reduced by one PCA to
a few channels: the same part gets the same code in both. The coarse grid of patches is brought to
pixels by a guided filter, so that codes change where the picture has edges.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splice.consensus import neighbourhood_consensus
from splice.features import FrozenViT
from splice.guided_filter import guided_upsampling
from splice.objective import brightness
from splice.settings import Meaning

LIKENESS = 0.1
"""Temperature of the softmax of cosines that says which patches of a picture mean the same."""


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


def transported(
    maps: Float[Tensor, "1 channels height width"],
    matches: Float[Tensor, "patches others"],
    grid: tuple[int, int],
    other_grid: tuple[int, int],
) -> Float[Tensor, "1 channels rows columns"]:
    """What each patch of `grid` gets, on the mean, of the other picture's colours or other maps."""
    means = F.interpolate(maps, size=other_grid, mode="area")[0].flatten(1)
    return (means @ matches.T).reshape(1, -1, *grid)


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
