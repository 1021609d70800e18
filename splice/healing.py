"""A collage made whole: at its tears the appearance image's own patches grow together.

Pieces that are cut out and laid side by side leave bites, second beaks and ghosts where they meet. Yet
nothing in the appearance image looks like a tear. So every small patch of the collage is replaced by
one of the appearance image that is like it, means what it should mean there and, where the relief
of a slope counts for more than whose slope it is, is light where the structure image is light; the
means of overlapping patches are the next collage, from coarse to fine. What is distinct, such as a
face, holds on to where its piece lies. Steps in a sky that are left are taken out by its gradients.

After Wexler, Shechtman, Irani (TPAMI 2007) and Barnes et al. (SIGGRAPH 2009), for which see
`splice.patch_field`; guides as in Hertzmann, Jacobs, Oliver, Curless, Salesin, "Image Analogies"
(SIGGRAPH 2001); gradients as in Darabi, Shechtman, Barnes, Goldman, Sen, "Image Melding" (SIGGRAPH
2012).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.objective import brightness, means_around
from splice.patch_field import Anchor, Field, Guide, PatchSearch, both_ways, enlarged, voted
from splice.placement import Placement
from splice.scales import shrunk, times_larger
from splice.screened import gradients, joined

LEVELS = ((4, 6), (2, 5), (1, 4))
"""How many times smaller than `SHORT_SIDE` pictures are made, and how often patches are sought."""

SMALLEST = 8
"""Pixels along the short side of a level."""

MEANING, LIGHT, MOST = 0.01, 0.004, 9.0
"""What a difference of 1 in codes and in light costs, in squares of colours, and the most that the
square of light counts."""

HELD, HELD_DISTINCT = 0.002, 0.02
"""What it costs to leave one's place by a patch, and how much more where a part is distinct."""

SHADING, SHARE = 16, 12
"""Radius of windows in which light is light, and in which its variance is compared, at `SHORT_SIDE`."""

STRONGEST = 2.5
"""Light and dark are cut off at so many deviations."""

VOTE, LAST_VOTE, WIDEST_VOTE = 1.0, 0.6, 1.2
"""Deviations of a patch's weight, in pixels: while patches are sought, and in the end, where it is
wider in a picture that is larger than the patches were sought in, up to a limit."""

REACH = 10.0
"""Pixels, at `SHORT_SIDE`, over which steps are spread."""


@dataclass(frozen=True)
class Pieces:
    """A collage, what it is made from, and what it should show.

    `collage` is to be made whole; `image` the appearance image, with the `codes` of its pixels;
    `picture` the one that the collage is laid out for, with the codes `meaning` that its pixels should
    have. `kindred` says which patches of the image mean the same as each of the picture's, see
    `Correspondence`; `distinct` which of those have a counterpart of their own.
    """

    collage: Float[Tensor, "1 3 height width"]
    image: Float[Tensor, "1 3 rows columns"]
    codes: Float[Tensor, "1 channels rows columns"]
    picture: Float[Tensor, "1 3 height width"]
    meaning: Float[Tensor, "1 channels height width"]
    placed: Placement
    kindred: Float[Tensor, "patches others"]
    distinct: Float[Tensor, "1 1 patch_rows patch_columns"]
    image_grid: tuple[int, int]


@torch.no_grad()
def healed(pieces: Pieces, random: torch.Generator) -> Float[Tensor, "1 3 height width"]:
    """The collage without its tears, in [0, 1].

    Patches are sought in pictures with a short side of `SHORT_SIDE` at most, whatever theirs is, and
    then laid out at full size.

    Args:
        pieces: what there is.
        random: on the host, of the search.
    """
    base = times_larger(pieces.picture)
    light = _Light(pieces, base)
    found: tuple[Field, Tensor, tuple[int, int]] | None = None
    for smaller, times in LEVELS:
        scale = base * smaller
        image, wanted = shrunk(pieces.image, scale), shrunk(pieces.meaning, scale)
        sides, size = _size(image), _size(wanted)
        if smaller > 1 and min(*sides, *size) < SMALLEST:
            continue
        first = in_place(pieces.placed, size, pieces.image_grid, sides)
        distinct = _up(pieces.distinct, size)
        held = _up(pieces.placed.agreement(), size) * (HELD + HELD_DISTINCT * distinct)
        codes = shrunk(pieces.codes, scale)
        guides = (
            Guide(codes, wanted, wanted.new_full((1, 1, 1, 1), MEANING)),
            light.guide(image, shrunk(pieces.picture, scale), smaller, distinct),
        )
        anchor = Anchor(first, held, sides[0] / pieces.image_grid[0])
        search, pages = PatchSearch(image, size, guides, anchor), both_ways(image)
        if found is None:
            field, picture = first, shrunk(pieces.collage, scale)
        else:
            field = enlarged(found[0], found[2], size, sides)
            picture = voted(pages, field, None, VOTE)
        costs = picture.new_zeros(size)
        for _ in range(times):
            field, costs = search.improved(picture, field, random)
            picture = voted(pages, field, costs, VOTE)
        found = field, costs, sides
    assert found is not None, "the last level is never left out"
    return _laid_out(pieces, *found, base)


def _laid_out(
    pieces: Pieces, field: Field, costs: Tensor, sides: tuple[int, int], base: float
) -> Float[Tensor, "1 3 rows columns"]:
    """The patches of a field at full size, without steps."""
    pages = both_ways(shrunk(pieces.image, base))
    small = voted(pages, field, costs, LAST_VOTE)
    steps = joined(small, voted(gradients(pages), field, costs, LAST_VOTE), REACH) - small
    if base > 1:
        size = _size(pieces.picture)
        field = enlarged(field, sides, size, _size(pieces.image))
        # Pixels that were one when patches were sought take the same patch: its borders are blended.
        deviation = min(LAST_VOTE * base, WIDEST_VOTE)
        costs = _up(costs[None, None], size)[0, 0]
        small = voted(both_ways(pieces.image), field, costs, deviation)
        steps = _up(steps, size)
    return (small + steps).clamp(0, 1)


def in_place(
    placed: Placement,
    size: tuple[int, int],
    image_grid: tuple[int, int],
    sides: tuple[int, int],
) -> Field:
    """The field of a collage before it is healed: each pixel's own piece.

    Args:
        placed: where pieces lie.
        size: height and width of the picture.
        image_grid: rows and columns of the patches of the image that they come from.
        sides: its height and width.
    """
    patch, within = [], []
    for length, count in zip(size, placed.places.shape[:2], strict=True):
        at = (torch.arange(length, device=placed.places.device) + 0.5) / length * count
        patch.append(at.long().clamp(max=count - 1))
        within.append(at - patch[-1] - 0.5)
    places, slopes = (x[patch[0]][:, patch[1]] for x in (placed.places, placed.slopes))
    moves = torch.stack(torch.meshgrid(*within, indexing="ij"), -1)
    at = (places + (slopes @ moves[..., None])[..., 0] + 0.5) / places.new_tensor(image_grid)
    row, column = (
        (x * side).long().clamp(0, side - 1) for x, side in zip(at.unbind(-1), sides, strict=True)
    )
    mirrored = slopes[..., 1, 1] < 0
    return torch.stack([mirrored.long(), row, torch.where(mirrored, sides[1] - 1 - column, column)])


class _Light:
    """Light and dark of both pictures, and where the picture's own count."""

    def __init__(self, pieces: Pieces, base: float) -> None:
        images = shrunk(pieces.image, base), shrunk(pieces.picture, base)
        theirs, own = (_shading(each, 1).square() for each in images)
        grid = _size(pieces.distinct)
        means = F.interpolate(theirs, size=pieces.image_grid, mode="area").flatten()
        expected = _up((pieces.kindred @ means).reshape(1, 1, *grid), _size(own))
        own = means_around(own, SHARE)
        # Stripes that are to come are stronger than the folds of a coat without any: folds give way.
        self._share = own / (own + expected + 1e-3)

    def guide(
        self,
        image: Float[Tensor, "1 3 rows columns"],
        picture: Float[Tensor, "1 3 height width"],
        smaller: int,
        distinct: Float[Tensor, "1 1 height width"],
    ) -> Guide:
        """The guide for both as they are searched, that many times smaller than at first."""
        share = F.interpolate(self._share, size=_size(picture), mode="area")
        weight = LIGHT * share * (1 - distinct)
        return Guide(_shading(image, smaller), _shading(picture, smaller), weight, MOST)


def _shading(
    image: Float[Tensor, "1 3 height width"], smaller: int
) -> Float[Tensor, "1 1 height width"]:
    """Brightness less what it is around, in deviations, of a picture that many times smaller."""
    light, radius = brightness(image), max(2, round(SHADING / smaller))
    left = light - means_around(means_around(light, radius), radius)
    deviation = left.std(correction=0).clamp_min(1e-3)
    return (left / deviation).clamp(-STRONGEST, STRONGEST)


def _size(maps: Float[Tensor, "n maps rows columns"]) -> tuple[int, int]:
    return maps.shape[-2], maps.shape[-1]


def _up(
    coarse: Float[Tensor, "1 maps rows columns"], size: tuple[int, int]
) -> Float[Tensor, "1 maps height width"]:
    return F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
