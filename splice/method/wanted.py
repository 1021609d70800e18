"""What the appearance image shows the frozen transformer, which the output is to show as well."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.features import Features, self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.method import objective
from splice.method.gamut import gamut_of
from splice.method.semantics import LONG_SIDE, Semantics
from splice.method.settings import Settings

MATCHES_TEMPERATURE = 0.07
"""Of the softmax over likeness that says which parts of the appearance image are wanted."""


@dataclass(frozen=True)
class Wanted:
    """What the appearance image shows the transformer.

    Attributes:
        cls: its [CLS] token, by block.
        scales: what differences of [CLS] are divided by, by block: the difference between the two
            pictures themselves, so that a weight means the same on every backbone and pair.
        similarity_scale: likewise of self-similarities.
        tokens: its patch tokens, by block.
        colours: mean colours of the patches.
        matches: how much each of the structure image's patches wants each of these.
        gamut: which colours it has.
    """

    cls: Mapping[int, Float[Tensor, "1 width"]]
    scales: Mapping[int, Float[Tensor, ""]]
    similarity_scale: Float[Tensor, ""]
    tokens: Mapping[int, Float[Tensor, "patches width"]]
    colours: Float[Tensor, "patches 3"]
    matches: Float[Tensor, "structure_patches patches"]
    gamut: Float[Tensor, "1 1 cells cells cells"]


@torch.no_grad()
def find_wanted(
    structure: Float[Tensor, "1 3 height width"],
    appearance: Float[Tensor, "1 3 rows columns"],
    semantics: Semantics,
    settings: Settings,
    vit: FrozenViT,
    see: Callable[[Tensor, int], Features],
) -> Wanted:
    """What the appearance image shows, and how far the structure image is from it.

    Args:
        structure: the structure image, in [0, 1], at the size of the painting.
        appearance: the appearance image, in [0, 1], of about that size.
        semantics: of the pair.
        settings: of the run.
        vit: the frozen transformer.
        see: what is seen of a picture at a short side, as it will be of the output.
    """
    last = vit.blocks
    side = settings.seen.short_side
    ours, theirs = (see(each, side) for each in (structure, appearance))
    # Self-similarities of pictures of one size can be compared.
    resized = F.interpolate(appearance, size=structure.shape[-2:])
    other = see(resized, side)
    between = objective.structure_term(
        self_similarity(ours.keys[last]), self_similarity(other.keys[last])
    )
    large = vit(
        appearance,
        tokens=vit.blocks_at(settings.objective.token_depths),
        short_side=settings.meaning.short_side,
        long_side=LONG_SIDE,
    )
    scales = {
        block: objective.appearance_term(ours.cls[block], theirs.cls[block]) for block in ours.cls
    }
    return Wanted(
        theirs.cls,
        {block: _or_one(value) for block, value in scales.items()},
        _or_one(between),
        {block: tokens[0].float() for block, tokens in large.tokens.items()},
        F.interpolate(appearance, size=large.grid, mode="area")[0].flatten(1).T,
        torch.softmax(semantics.likeness / MATCHES_TEMPERATURE, 1),
        gamut_of(appearance),
    )


def _or_one(scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """A picture paired with itself has nothing to be measured by."""
    return torch.where(scale > 0, scale, torch.ones_like(scale))
