"""The feature φ(I) that an inversion has to meet, and how far another is from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.features import Features, self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.studies.inversion.settings import Feature
from splice.studies.inversion.subjects import Picture


@dataclass(frozen=True)
class Target:
    """A feature to be met, and how far from it a picture of noise is.

    Attributes:
        feature: φ(I) of one picture at one block.
        scale: mean squared difference to φ of a picture whose values are drawn evenly from [0, 1].
    """

    feature: Float[Tensor, "..."]
    scale: Float[Tensor, ""]

    def distance(self, feature: Float[Tensor, "..."]) -> Float[Tensor, ""]:
        """Mean squared difference over `scale`: 0 for the same feature, 1 for no nearer than noise.

        A constant factor changes neither the minimum nor Adam's way there, but makes blocks, whose
        features differ in size by orders of magnitude, comparable; and it keeps the gradients of
        the small ones clear of the constant in Adam's denominator.
        """
        return F.mse_loss(feature, self.feature) / self.scale


def represent(
    vit: FrozenViT,
    images: Float[Tensor, "batch 3 height width"],
    feature: Feature,
    blocks: Sequence[int],
) -> dict[int, Float[Tensor, "batch ..."]]:
    """The feature φ of the images at each of the blocks.

    Args:
        vit: the backbone.
        images: in [0, 1], sides multiples of its patch.
        feature: `cls` (batch width), `keys` (batch 1+patches width, [CLS] first), `tokens` (batch
            patches width), or `self-similarity` (batch 1+patches 1+patches, cosines of the keys).
        blocks: from 1.

    Raises:
        InputError: a block that the backbone does not have.
    """
    kind = "keys" if feature == "self-similarity" else feature
    found: Features = vit(images, **{kind: set(blocks)}, short_side=None)
    described = {block: getattr(found, kind)[block] for block in set(blocks)}
    if feature == "self-similarity":
        return {block: self_similarity(keys) for block, keys in described.items()}
    return described


@torch.no_grad()
def targets(
    vit: FrozenViT, image: Picture, feature: Feature, blocks: Sequence[int]
) -> dict[int, Target]:
    """The features of the picture that inversions of it have to meet, by block.

    Args:
        vit: the backbone.
        image: in [0, 1], sides multiples of its patch.
        feature: which; see `represent`.
        blocks: from 1.
    """
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)).to(image)
    found, random = (represent(vit, x[None], feature, blocks) for x in (image, noise))
    return {
        block: Target(found[block][0], F.mse_loss(random[block], found[block]).clamp_min(1e-12))
        for block in found
    }
