"""What is where in a pair: codes of meaning for every pixel, and which parts correspond.

The deepest keys of both pictures, seen larger than during the optimisation, are reduced by one PCA to
a few channels: the same part gets the same code in both. The coarse grid of patches is brought to
pixels by a guided filter, so that codes change where the picture has edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splice.consensus import around
from splice.features import Features, FrozenViT
from splice.guided_filter import guided_upsampling
from splice.settings import Meaning


@dataclass(frozen=True)
class Semantics:
    """Meaning of a pair's pixels and patches.

    `structure_codes` and `appearance_codes` have variance 1 per channel over both pictures,
    and lie in memory channels last, where pixels are looked up.
    `likeness` is how much structure patches mean the same as appearance patches as they are (0), and as
    those look in the mirror (1): the mean cosine of keys of several blocks, each picture's centred on
    their own mean, and the mean of that over patches around, up to `radius` away. Patches run row by
    row over the grids. `appearance_keys` are these keys of the appearance image, as it is and in the
    mirror.
    """

    structure_codes: Float[Tensor, "1 channels height width"]
    appearance_codes: Float[Tensor, "1 channels rows columns"]
    likeness: Float[Tensor, "2 structure_patches appearance_patches"]
    appearance_keys: Float[Tensor, "2 appearance_patches channels_of_keys"]
    structure_grid: tuple[int, int]
    appearance_grid: tuple[int, int]
    radius: int

    @cached_property
    def own_likeness(self) -> Float[Tensor, "2 appearance_patches appearance_patches"]:
        """The likeness of appearance patches with each other."""
        grid, keys = self.appearance_grid, self.appearance_keys
        return around(_alike(keys, keys), grid, grid, self.radius)

    @property
    def similarity(self) -> Float[Tensor, "structure_patches appearance_patches"]:
        """The likeness of patches, whichever way they face."""
        return self.likeness.amax(0)

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

    Both pictures are seen as they are and in the mirror. Codes are those of the deepest keys, averaged
    over the two, which halves what they owe to position. Likeness compares left with left.
    """
    blocks = vit.blocks_at(settings.depths)
    images = structure, appearance
    seen = [
        vit(
            torch.cat([image, image.flip(-1)]),
            keys={*blocks, vit.blocks},
            short_side=settings.short_side,
            long_side=settings.long_side,
        )
        for image in images
    ]
    grids = [features.grid for features in seen]
    deepest = [_keys(features, vit.blocks).mean(0) for features in seen]
    # Each picture's own mean goes: summer and winter differ in all keys, and the parts must still meet.
    deepest = [each - each.mean(0) for each in deepest]
    codes = [
        guided_upsampling(_on_grid(each, grid), image, settings.radius, settings.tolerance)
        for each, grid, image in zip(
            _whitened(deepest, settings.channels), grids, images, strict=True
        )
    ]
    codes = [each.contiguous(memory_format=torch.channels_last) for each in codes]
    keys = [_joined(features, blocks) for features in seen]
    likeness = around(_alike(keys[0], keys[1]), grids[0], grids[1], settings.around)
    return Semantics(codes[0], codes[1], likeness, keys[1], grids[0], grids[1], settings.around)


def _keys(features: Features, block: int) -> Float[Tensor, "2 patches channels"]:
    """Keys of patches, as they are and in the mirror, each in the place of the part itself."""
    rows, columns = features.grid
    keys = features.keys[block][:, 1:].float().unflatten(1, (rows, columns))
    return torch.stack([keys[0], keys[1].flip(1)]).flatten(1, 2)


def _joined(features: Features, blocks: Sequence[int]) -> Float[Tensor, "2 patches channels"]:
    """The keys of several blocks, of which the product is the mean of the blocks' cosines."""
    keys = [_keys(features, block) for block in blocks]
    unit = [F.normalize(each - each.mean((0, 1)), dim=-1) for each in keys]
    return torch.cat(unit, -1) / len(blocks) ** 0.5


def _alike(
    keys: Float[Tensor, "2 patches channels"], others: Float[Tensor, "2 others channels"]
) -> Float[Tensor, "2 patches others"]:
    """Products of keys as they are and with the other picture's in the mirror, see `Semantics`."""
    straight, mirrored = (keys @ each.mT for each in (others, others.flip(0)))
    return torch.stack([straight.mean(0), mirrored.mean(0)])


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
