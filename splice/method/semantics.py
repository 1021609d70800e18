"""What is where in a pair: codes of meaning for every pixel, and which patches correspond.

Both pictures are seen once, as they are and in the mirror, larger than during the optimisation. The
deepest keys give codes, tokens of the deep blocks say what corresponds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method.appearances import Appearance, Patches, patches_in
from splice.method.correspondence import correspondence_to_all
from splice.method.settings import Meaning
from splice.pictures.bilateral import bilateral_upsampling

LONG_SIDE = 1344
"""Longest long side, in pixels, at which a picture is seen."""

READINESS = 0.3
"""By how many deviations of likeness a look is taken more readily when its weight is doubled."""


@dataclass(frozen=True)
class Semantics:
    """Meaning of the structure image's pixels, and likeness of the patches of a pair.

    Attributes:
        codes: first principal axes of the deepest keys, of variance 1 over all pictures' patches,
            brought to the structure image's pixels and edges.
        likeness: how alike in meaning patches are, as `correspondence_to_all` tells it; patches run
            row by row, those of several appearance images one picture after the other.
        structure_grid: rows and columns of the structure image's patches.
        patches: which patches of each appearance image take part; only these stand in likeness.
        tokens: of all pictures' patches, the structure image's first, each of length 1, that
            likeness was told by.
    """

    codes: Float[Tensor, "1 channels height width"]
    likeness: Float[Tensor, "structure_patches appearance_patches"]
    structure_grid: tuple[int, int]
    patches: tuple[Patches, ...]
    tokens: tuple[Float[Tensor, "_ token"], ...]

    def patch_codes(self, channels: int) -> Float[Tensor, "structure_patches channels"]:
        """The first channels of the codes, the mean of each patch of the structure image."""
        means = F.interpolate(self.codes[:, :channels], size=self.structure_grid, mode="area")
        return means[0].flatten(1).T


@torch.no_grad()
def find_semantics(
    vit: FrozenViT,
    structure: Float[Tensor, "1 3 height width"],
    appearances: Sequence[Appearance],
    small: Float[Tensor, "1 3 rows columns"],
    settings: Meaning,
    mask: Float[Tensor, "1 1 _ _"] | None = None,
) -> Semantics:
    """Codes and correspondence of a pair.

    Features are means of what a patch has in the picture and in its mirror image, which halves what
    they owe to position, less the mean of what is painted, and of all that gives the look: summer and
    winter differ in all patches, and their parts must still meet.

    Args:
        vit: the frozen transformer.
        structure: the structure image, in [0, 1].
        appearances: the appearance images.
        small: the structure image at the size that codes are found for.
        settings: how large pictures are seen, and which blocks say what corresponds.
        mask: 1 where the structure image is painted; None for all.
    """
    blocks = vit.blocks_at(settings.depths)
    keys, tokens, grids = [], [], []
    for image in (structure, *(each.picture for each in appearances)):
        both = torch.cat([image, image.flip(-1)])
        sides = {"short_side": settings.short_side, "long_side": LONG_SIDE}
        seen = vit(both, keys=[vit.blocks], tokens=blocks, **sides)
        keys.append(unmirrored(seen.keys[vit.blocks][:, 1:], seen.grid))
        tokens.append([unmirrored(seen.tokens[b], seen.grid) for b in blocks])
        grids.append(seen.grid)
    ours = patches_in(mask, grids[0])
    theirs = [each.patches(grid) for each, grid in zip(appearances, grids[1:], strict=True)]
    keys = _centred(keys, ours, theirs)
    axes = principal_axes(torch.cat(_taking_part(keys, ours, theirs)), settings.channels)
    coarse = (keys[0] @ axes).T.reshape(1, -1, *ours.grid)
    joined = joined_tokens(tokens, ours, theirs)
    return Semantics(
        bilateral_upsampling(coarse, small),
        correspondence_to_all(joined[0], joined[1:], ours.grid, theirs)
        + _readiness(appearances, theirs, joined[0]),
        ours.grid,
        tuple(theirs),
        tuple(joined),
    )


def joined_tokens(
    tokens: Sequence[Sequence[Float[Tensor, "_ width"]]], ours: Patches, theirs: Sequence[Patches]
) -> list[Float[Tensor, "_ token"]]:
    """Tokens of several blocks as one of length 1, less the mean of the patches in their role.

    Args:
        tokens: of each picture, the structure image first, by block.
        ours: patches of the structure image that are painted.
        theirs: patches of the appearance images that take part.
    """
    units = [
        [F.normalize(each, dim=-1) for each in _centred(block, ours, theirs)]
        for block in zip(*tokens, strict=True)
    ]
    return [torch.cat(each, -1) / len(units) ** 0.5 for each in zip(*units, strict=True)]


def unmirrored(
    features: Float[Tensor, "2 patches channels"], grid: tuple[int, int]
) -> Float[Tensor, "patches channels"]:
    """The mean of both images' features, each in the place of the part itself."""
    straight, mirrored = features.float().unflatten(1, grid)
    return ((straight + mirrored.flip(1)) / 2).flatten(0, 1)


def _centred(features: Sequence[Tensor], ours: Patches, theirs: Sequence[Patches]) -> list[Tensor]:
    """Features of pictures' patches, less the mean of those that take part in either role."""
    parts = _taking_part(features, ours, theirs)
    means = [parts[0].mean(0)] + [torch.cat(parts[1:]).mean(0)] * len(theirs)
    return [each - mean for each, mean in zip(features, means, strict=True)]


def _taking_part(
    features: Sequence[Tensor], ours: Patches, theirs: Sequence[Patches]
) -> list[Tensor]:
    return [part.of(each) for part, each in zip((ours, *theirs), features, strict=True)]


def _readiness(
    appearances: Sequence[Appearance], patches: Sequence[Patches], like: Tensor
) -> Float[Tensor, " patches"]:
    """What likeness gains by the weights of looks."""
    gains = [READINESS * math.log2(each.weight) for each in appearances]
    return torch.cat([like.new_full((len(p),), g) for p, g in zip(patches, gains, strict=True)])


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
