"""What the appearance image shows the frozen transformer, which the output is to show as well.

Patches are compared with patches as large: a stripe that fills a patch of the appearance image, seen
small, fills one of the output, seen as small.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
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
        matches: how much each of the structure image's patches wants each of the appearance images'.
        gamut: which colours the appearance images have.
    """

    cls: Mapping[int, Float[Tensor, "looks width"]]
    scales: Mapping[int, Float[Tensor, " looks"]]
    shares: tuple[float, ...]
    similarity_scale: Float[Tensor, ""]
    matches: Float[Tensor, "structure_patches patches"]
    gamut: Float[Tensor, "1 1 cells cells cells"]

    def appearance_term(self, cls: Mapping[int, Float[Tensor, "1 width"]]) -> Float[Tensor, ""]:
        """How far [CLS] tokens, by block, are from those that are wanted."""
        sums = [
            share * objective.appearance_term(cls[block], token[None]) / scale
            for block, tokens in self.cls.items()
            for token, scale, share in zip(tokens, self.scales[block], self.shares, strict=True)
        ]
        return torch.stack(sums).sum() / len(self.cls)


@dataclass(frozen=True)
class Shown:
    """What the appearance images' patches show the transformer at one size.

    Attributes:
        tokens: by block, of those patches that take part, picture after picture.
        colours: mean colours of these.
    """

    tokens: Mapping[int, Float[Tensor, "patches width"]]
    colours: Float[Tensor, "patches 3"]


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
        other = see(each.resized(structure.shape[-2:]).picture, side)
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
    return Wanted(
        {block: torch.cat(each) for block, each in cls.items()},
        {block: _or_one(torch.stack(each)) for block, each in scales.items()},
        tuple(each.weight / total for each in appearances),
        _or_one(torch.stack(apart).mean()),
        torch.softmax(semantics.likeness / MATCHES_TEMPERATURE, 1),
        torch.stack(gamuts).amin(0),
    )


def mean_colours(
    image: Float[Tensor, "1 3 _ _"], grid: tuple[int, int]
) -> Float[Tensor, "patches 3"]:
    """Of the patches of a grid, row by row."""
    return resampled(image, grid, "area")[0].flatten(1).T


@torch.no_grad()
def find_shown(
    appearances: Sequence[Appearance],
    semantics: Semantics,
    vit: FrozenViT,
    blocks: Sequence[int],
    short_side: int,
) -> Shown:
    """What patches show at a size: token and colour of the patch of that size under each middle.

    Args:
        appearances: the appearance images.
        semantics: of the pair, in whose patches places are told.
        vit: the frozen transformer.
        blocks: whose tokens are shown.
        short_side: in pixels, at which a picture is seen.
    """
    tokens: dict[int, list[Tensor]] = {}
    colours = []
    for each, patches in zip(appearances, semantics.patches, strict=True):
        sides = {"short_side": short_side, "long_side": LONG_SIDE}
        seen = vit(each.picture, tokens=blocks, **sides)
        places = patches.of(under_middles(patches.grid, seen.grid).to(each.picture.device))
        for block, found in seen.tokens.items():
            tokens.setdefault(block, []).append(found[0].float()[places])
        colours.append(mean_colours(each.picture, seen.grid)[places])
    return Shown({block: in_a_row(each) for block, each in tokens.items()}, in_a_row(colours))


def under_middles(grid: Grid, other: Grid) -> Int[Tensor, " patches"]:
    """For each patch of a grid, that of another grid over the same picture that its middle is in."""
    rows, columns = (
        ((torch.arange(n) + 0.5) / n * m).long() for n, m in zip(grid, other, strict=True)
    )
    return (rows[:, None] * other[1] + columns).flatten()


def _or_one(scale: Float[Tensor, "*looks"]) -> Float[Tensor, "*looks"]:
    """A picture paired with itself has nothing to be measured by."""
    return torch.where(scale > 0, scale, torch.ones_like(scale))
