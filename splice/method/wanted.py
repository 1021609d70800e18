"""What the appearance image shows the frozen transformer, which the output is to show as well."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.features import Features, self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.method import objective
from splice.method.appearances import Appearance, Grid, in_a_row
from splice.method.gamut import gamut_of
from splice.method.semantics import LONG_SIDE, Semantics
from splice.method.settings import Settings
from splice.pictures.resampling import resampled

MATCHES_TEMPERATURE = 0.07
"""Of the softmax over likeness that says which parts of the appearance image are wanted."""


@dataclass(frozen=True)
class Wanted:
    """What the appearance images show the transformer.

    Attributes:
        cls: the [CLS] token of each, by block.
        scales: what differences of [CLS] are divided by, by block: the difference between the two
            pictures themselves, so that a weight means the same on every backbone and pair.
        shares: how much each appearance image's [CLS] counts; their sum is 1.
        similarity_scale: what differences of self-similarities are divided by, likewise.
        tokens: patch tokens of those that take part, by block.
        colours: mean colours of these patches.
        matches: how much each of the structure image's patches wants each of these.
        gamut: which colours the appearance images have.
        own_tokens: the structure image's patch tokens, by block; none at strength 1.
        own_colours: mean colours of its patches.
    """

    cls: Mapping[int, Float[Tensor, "looks width"]]
    scales: Mapping[int, Float[Tensor, " looks"]]
    shares: tuple[float, ...]
    similarity_scale: Float[Tensor, ""]
    tokens: Mapping[int, Float[Tensor, "patches width"]]
    colours: Float[Tensor, "patches 3"]
    matches: Float[Tensor, "structure_patches patches"]
    gamut: Float[Tensor, "1 1 cells cells cells"]
    own_tokens: Mapping[int, Float[Tensor, "structure_patches width"]]
    own_colours: Float[Tensor, "structure_patches 3"]


@torch.no_grad()
def find_wanted(
    structure: Float[Tensor, "1 3 height width"],
    appearances: Sequence[Appearance],
    semantics: Semantics,
    settings: Settings,
    vit: FrozenViT,
    see: Callable[[Tensor, int], Features],
    between: Sequence[Float[Tensor, "1 3 _ _"]] = (),
    share: float = 1.0,
) -> Wanted:
    """What the appearance images show, and how far the structure image is from it.

    Where only a part of the structure image is painted, or at a strength below 1, the wanted [CLS] is
    nearer to the structure image's own by as much.

    Args:
        structure: the structure image, in [0, 1], at the size of the painting.
        appearances: the appearance images, of about that size.
        semantics: of the pair.
        settings: of the run.
        vit: the frozen transformer.
        see: what is seen of a picture at a short side, as it will be of the output.
        between: pictures whose colours belong as well, those of a strength below 1.
        share: of the structure image that is painted.
    """
    last, side = vit.blocks, settings.seen.short_side
    ours = see(structure, side)
    cls: dict[int, list[Tensor]] = {block: [] for block in ours.cls}
    scales: dict[int, list[Tensor]] = {block: [] for block in ours.cls}
    apart, gamuts = [], [gamut_of(each) for each in between]
    for each in appearances:
        theirs = see(each.picture, side)
        # Self-similarities of pictures of one size can be compared.
        other = see(F.interpolate(each.picture, size=structure.shape[-2:]), side)
        apart.append(
            objective.structure_term(
                self_similarity(ours.keys[last]), self_similarity(other.keys[last])
            )
        )
        for block, token in theirs.cls.items():
            scales[block].append(objective.appearance_term(ours.cls[block], token))
            cls[block].append(torch.lerp(ours.cls[block], token, settings.strength * share))
        gamuts.append(gamut_of(each.picture, each.mask))
    total = sum(each.weight for each in appearances)
    large, colours = _patches(appearances, semantics, settings, vit)
    own = {}
    if settings.strength < 1:
        seen = _seen_large(structure, semantics.structure_grid, settings, vit)
        own = {block: tokens[0].float() for block, tokens in seen.tokens.items()}
    return Wanted(
        {block: torch.cat(each) for block, each in cls.items()},
        {block: _or_one(torch.stack(each)) for block, each in scales.items()},
        tuple(each.weight / total for each in appearances),
        _or_one(torch.stack(apart).mean()),
        large,
        colours,
        torch.softmax(semantics.likeness / MATCHES_TEMPERATURE, 1),
        torch.stack(gamuts).amin(0),
        own,
        mean_colours(structure, semantics.structure_grid),
    )


def mean_colours(
    image: Float[Tensor, "1 3 _ _"], grid: tuple[int, int]
) -> Float[Tensor, "patches 3"]:
    """Of the patches of a grid, row by row."""
    return resampled(image, grid, "area")[0].flatten(1).T


def _patches(
    appearances: Sequence[Appearance], semantics: Semantics, settings: Settings, vit: FrozenViT
) -> tuple[dict[int, Float[Tensor, "patches width"]], Float[Tensor, "patches 3"]]:
    """Tokens by block and mean colours of the patches that take part, picture after picture."""
    tokens: dict[int, list[Tensor]] = {}
    colours = []
    for each, patches in zip(appearances, semantics.patches, strict=True):
        seen = _seen_large(each.picture, patches.grid, settings, vit)
        for block, found in seen.tokens.items():
            tokens.setdefault(block, []).append(patches.of(found[0].float()))
        colours.append(patches.of(mean_colours(each.picture, seen.grid)))
    return {block: in_a_row(each) for block, each in tokens.items()}, in_a_row(colours)


def _seen_large(
    image: Float[Tensor, "1 3 _ _"], grid: Grid, settings: Settings, vit: FrozenViT
) -> Features:
    """Tokens of a picture, of the patches of a grid."""
    sides = {"short_side": settings.meaning.short_side, "long_side": LONG_SIDE}
    blocks = vit.blocks_at(settings.objective.token_depths)
    seen = vit(image, tokens=blocks, **sides)
    if seen.grid != grid:
        # Sides are rounded, so the grid may have been another at another size.
        image = F.interpolate(image, size=[vit.patch * n for n in grid], mode="bicubic")
        seen = vit(image, tokens=blocks, short_side=vit.patch * min(grid))
    return seen


def _or_one(scale: Float[Tensor, "*looks"]) -> Float[Tensor, "*looks"]:
    """A picture paired with itself has nothing to be measured by."""
    return torch.where(scale > 0, scale, torch.ones_like(scale))
