"""What is where in a pair: codes of meaning for every pixel, and which patches correspond.

Both pictures are seen once, as they are and in the mirror, larger than during the optimisation. The
deepest keys give codes, tokens of the deep blocks say what corresponds.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method.correspondence import correspondence
from splice.method.settings import Meaning
from splice.pictures.guided_filter import guided_upsampling

LONG_SIDE = 1344
"""Longest long side, in pixels, at which a picture is seen."""

TOLERANCE = 1e-3
"""Variance of colour below which a window of the guided filter is flat."""


@dataclass(frozen=True)
class Semantics:
    """Meaning of the structure image's pixels, and likeness of the patches of a pair.

    Attributes:
        codes: first principal axes of the deepest keys, of variance 1 over both pictures' patches,
            brought to the structure image's pixels and edges.
        likeness: how alike in meaning patches are, of mean 0 and deviation 1; patches run row by row.
        structure_grid: rows and columns of the structure image's patches.
        appearance_grid: likewise of the appearance image.
        tokens: of both pictures' patches, each of length 1, that likeness was told by.
    """

    codes: Float[Tensor, "1 channels height width"]
    likeness: Float[Tensor, "structure_patches appearance_patches"]
    structure_grid: tuple[int, int]
    appearance_grid: tuple[int, int]
    tokens: tuple[
        Float[Tensor, "structure_patches token"], Float[Tensor, "appearance_patches token"]
    ]

    def patch_codes(self, channels: int) -> Float[Tensor, "structure_patches channels"]:
        """The first channels of the codes, the mean of each patch of the structure image."""
        means = F.interpolate(self.codes[:, :channels], size=self.structure_grid, mode="area")
        return means[0].flatten(1).T


@torch.no_grad()
def find_semantics(
    vit: FrozenViT,
    structure: Float[Tensor, "1 3 height width"],
    appearance: Float[Tensor, "1 3 _ _"],
    painted: Float[Tensor, "1 3 rows columns"],
    settings: Meaning,
) -> Semantics:
    """Codes and correspondence of a pair.

    Features are means of what a patch has in the picture and in its mirror image, which halves what
    they owe to position, less each picture's own mean: summer and winter differ in all patches, and
    their parts must still meet.

    Args:
        vit: the frozen transformer.
        structure: the structure image, in [0, 1].
        appearance: the appearance image, in [0, 1].
        painted: the structure image at the size of the painting, which codes are found for.
        settings: how large pictures are seen, and which blocks say what corresponds.
    """
    blocks = vit.blocks_at(settings.depths)
    keys, tokens, grids = [], [], []
    for image in (structure, appearance):
        both = torch.cat([image, image.flip(-1)])
        sides = {"short_side": settings.short_side, "long_side": LONG_SIDE}
        seen = vit(both, keys=[vit.blocks], tokens=blocks, **sides)
        keys.append(_unmirrored(seen.keys[vit.blocks][:, 1:], seen.grid))
        units = [F.normalize(_unmirrored(seen.tokens[b], seen.grid), dim=-1) for b in blocks]
        tokens.append(torch.cat(units, -1) / len(blocks) ** 0.5)
        grids.append(seen.grid)
    axes = principal_axes(torch.cat(keys), settings.channels)
    coarse = (keys[0] @ axes).T.reshape(1, -1, *grids[0])
    return Semantics(
        guided_upsampling(coarse, painted, settings.radius, TOLERANCE),
        correspondence(*tokens, *grids),
        grids[0],
        grids[1],
        (tokens[0], tokens[1]),
    )


def _unmirrored(
    features: Float[Tensor, "2 patches channels"], grid: tuple[int, int]
) -> Float[Tensor, "patches channels"]:
    """The mean of both images' features, each in the place of the part itself, less their mean."""
    straight, mirrored = features.float().unflatten(1, grid)
    mean = ((straight + mirrored.flip(1)) / 2).flatten(0, 1)
    return mean - mean.mean(0)


def principal_axes(
    features: Float[Tensor, "patches width"], channels: int
) -> Float[Tensor, "width axes"]:
    """The first principal axes of features of mean 0, so long that codes have variance 1 on each."""
    channels = min(channels, *features.shape)
    # The covariance is small, and its eigenvectors cost less than the singular vectors of all features.
    values, vectors = torch.linalg.eigh((features.T @ features / len(features)).double().cpu())
    order = values.argsort(descending=True)[:channels]
    axes = vectors[:, order] / values[order].clamp_min(1e-12).sqrt()
    # Eigenvectors have no sign of their own; the largest entry is made positive.
    signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    return (axes * signs).to(features)
