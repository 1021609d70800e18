"""A picture made of overlapping patches of another: where each comes from, found and painted.

A field says for every pixel which patch of the other picture lies there. A random search that spreads
what it finds to the neighbours improves it in a few rounds (Barnes, Shechtman, Finkelstein, Goldman,
"PatchMatch: A Randomized Correspondence Algorithm for Structural Image Editing", SIGGRAPH 2009); the
picture is then what the patches that cover a pixel show there, on the mean (Wexler, Shechtman,
Irani, "Space-Time Completion of Video", TPAMI 2007). The other picture's patches count as they are,
and in the mirror.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

RADIUS = 2
"""Of the patches, in pixels."""

JUMPS = (8, 4, 2, 1)
"""Pixels from which a field's patches are tried, in four directions."""

WIDEST, NARROWER = 4, 3
"""The random search begins in windows of this part of the short side, each then so much smaller."""

Field = Int[Tensor, "3 height width"]
"""For every pixel the middle of its patch: whether in the mirror (1) or not (0), row, and column."""


@dataclass(frozen=True)
class Guide:
    """Maps that should be alike at a pixel and at the middle of its patch, besides the colours.

    The mean square of the difference counts up to `most`, times `weight`. `theirs` are maps of the
    other picture, `wanted` those of the picture that is painted.
    """

    theirs: Float[Tensor, "1 maps rows columns"]
    wanted: Float[Tensor, "1 maps height width"]
    weight: Float[Tensor, "1 1 #height #width"]
    most: float = torch.inf


@dataclass(frozen=True)
class Anchor:
    """A field that is not left without need.

    A patch as far as `unit` pixels from the field's, or in the other page, costs `weight`, nearer
    ones less, by the square of the distance.
    """

    field: Field
    weight: Float[Tensor, "1 1 height width"]
    unit: float


def both_ways(maps: Float[Tensor, "1 maps rows columns"]) -> Float[Tensor, "2 maps rows columns"]:
    """Maps as they are, and in the mirror."""
    return torch.cat([maps, maps.flip(-1)])


class PatchSearch:
    """The search for patches of one picture, for another under way."""

    def __init__(
        self,
        image: Float[Tensor, "1 3 rows columns"],
        size: tuple[int, int],
        guides: Sequence[Guide],
        anchor: Anchor,
    ) -> None:
        """Lays out all patches side by side.

        Args:
            image: that patches come from, in [0, 1].
            size: height and width of the picture that is painted.
            guides: what should be alike as well.
            anchor: the field that is to be improved.
        """
        self.size, self._sides = size, (image.shape[-2], image.shape[-1])
        self._patches = _unfolded(both_ways(image))
        self._guides = [(_listed(both_ways(g.theirs)), _listed(g.wanted), g) for g in guides]
        weights = [g.weight.expand(1, 1, *size).flatten() for g in guides]
        self._weights, self._anchor = weights, anchor
        self._anchored = anchor.field.flatten(1)
        row, column = (torch.arange(side, device=image.device) for side in size)
        self._places = [x.flatten() for x in torch.meshgrid(row, column, indexing="ij")]
        # Patches lie in the picture, so that none is cut, but for those that lie at a border here, too.
        self._bounds = [
            (place.clamp_max(least), side - 1 - (length - 1 - place).clamp(0, least))
            for place, length, side in zip(self._places, size, self._sides, strict=True)
            for least in [min(RADIUS, (side - 1) // 2)]
        ]

    def improved(
        self,
        picture: Float[Tensor, "1 3 height width"],
        field: Field,
        random: torch.Generator,
    ) -> tuple[Field, Float[Tensor, "height width"]]:
        """A field whose patches are more like the picture's own, and what each costs.

        Args:
            picture: that is painted, in [0, 1].
            field: to begin with.
            random: on the host.
        """
        wanted = _unfolded(picture)
        field = self._inside(field.flatten(1))
        every = torch.arange(field.shape[1], device=field.device)
        costs = self._costs(wanted, field, every)
        for jump, (down, right) in product(JUMPS, ((0, 1), (0, -1), (1, 0), (-1, 0))):
            self._try(self._beside(field, jump * down, jump * right), wanted, field, costs)
        reach = max(1, min(self._sides) // WIDEST)
        while reach:
            moves = torch.randint(-reach, reach + 1, (2, field.shape[1]), generator=random)
            moved = field.clone()
            moved[1:] += moves.to(field.device)
            self._try(self._inside(moved), wanted, field, costs)
            reach //= NARROWER
        return field.unflatten(1, self.size), costs.unflatten(0, self.size)

    def _beside(self, field: Tensor, down: int, right: int) -> Tensor:
        """What continues the patches of the pixels that far away."""
        row, column = (
            (place + move).clamp(0, side - 1)
            for place, move, side in zip(self._places, (down, right), self.size, strict=True)
        )
        found = field.index_select(1, row * self.size[1] + column)
        found[1] -= row - self._places[0]
        found[2] -= column - self._places[1]
        return self._inside(found)

    def _inside(self, field: Tensor) -> Tensor:
        page, *places = field
        kept = [
            place.clamp(least, most)
            for place, (least, most) in zip(places, self._bounds, strict=True)
        ]
        return torch.stack([page, *kept])

    def _try(self, other: Tensor, wanted: Tensor, field: Tensor, costs: Tensor) -> None:
        """Takes over, in place, what costs less; most patches continue others and are known."""
        new = (other != field).any(0).nonzero()[:, 0]
        found = self._costs(wanted, other.index_select(1, new), new)
        better = found < costs[new]
        new = new[better]
        field[:, new] = other[:, new]
        costs[new] = found[better]

    def _costs(self, wanted: Tensor, field: Tensor, pixels: Tensor) -> Float[Tensor, " pixels"]:
        place = (field[0] * self._sides[0] + field[1]) * self._sides[1] + field[2]
        # In few passes over memory: this is most of the search's time.
        unlike = self._patches.index_select(0, place).sub_(wanted.index_select(0, pixels))
        costs = torch.linalg.vector_norm(unlike, dim=1).square_().div_(unlike.shape[1])
        for (theirs, own, guide), weight in zip(self._guides, self._weights, strict=True):
            unlike = (theirs.index_select(0, place) - own.index_select(0, pixels)).square_().mean(1)
            costs += weight[pixels] * unlike.clamp_max(guide.most)
        anchored = self._anchored.index_select(1, pixels)
        away = (field[1:] - anchored[1:]).square().sum(0) / self._anchor.unit**2
        away = torch.where(field[0] == anchored[0], away.clamp_max(1), 1.0)
        return costs + self._anchor.weight.flatten()[pixels] * away


def voted(
    maps: Float[Tensor, "2 maps rows columns"],
    field: Field,
    costs: Float[Tensor, "height width"] | None,
    deviation: float,
) -> Float[Tensor, "1 maps height width"]:
    """What the patches that cover a pixel show there, on the mean.

    Args:
        maps: of the other picture, as it is and in the mirror.
        field: of the patches.
        costs: of the patches, of which the cheaper count more; None where all count alike.
        deviation: of the weight with the distance from a patch's middle, in pixels.
    """
    height, width = field.shape[1:]
    rows, columns = maps.shape[-2:]
    flat = maps.movedim(1, 0).flatten(1)
    weights = torch.ones_like(field[0], dtype=maps.dtype) if costs is None else 1 / (costs + 1e-3)
    sums, total = maps.new_zeros(len(flat), height, width), maps.new_zeros(height, width)
    for down, right in product(range(-RADIUS, RADIUS + 1), repeat=2):
        covered = _both(down, height), _both(right, width)
        middles = _both(-down, height), _both(-right, width)
        page, row, column = field[:, middles[0], middles[1]]
        row, column = (row + down).clamp(0, rows - 1), (column + right).clamp(0, columns - 1)
        power = weights.new_tensor(-(down**2 + right**2) / (2 * deviation**2))
        weight = weights[middles] * power.exp()
        sums[:, covered[0], covered[1]] += weight * flat[:, (page * rows + row) * columns + column]
        total[covered] += weight
    return (sums / total)[None]


def enlarged(
    field: Field, sides: tuple[int, int], size: tuple[int, int], other_sides: tuple[int, int]
) -> Int[Tensor, "3 rows columns"]:
    """The field of a picture of another size, whose patches come from an image of another size.

    Args:
        field: of the smaller picture.
        sides: of the image that its patches come from.
        size: of the larger picture.
        other_sides: of the image that its patches come from.
    """
    known, found = [], []
    for side, length in zip(field.shape[1:], size, strict=True):
        at = (torch.arange(length, device=field.device) + 0.5) / length * side
        known.append(at.long().clamp(max=side - 1))
        found.append(at - known[-1])
    page, *places = field[:, known[0]][:, :, known[1]]
    within = torch.meshgrid(*found, indexing="ij")
    moved = [
        ((place + part) / side * other).long().clamp(0, other - 1)
        for place, part, side, other in zip(places, within, sides, other_sides, strict=True)
    ]
    return torch.stack([page, *moved])


def _both(move: int, side: int) -> slice:
    """The pixels along a side of which the one so far before is there as well."""
    return slice(max(0, move), min(side, side + move))


def _listed(maps: Float[Tensor, "pages maps rows columns"]) -> Float[Tensor, "places maps"]:
    return maps.movedim(1, -1).flatten(0, 2).contiguous()


def _unfolded(maps: Float[Tensor, "pages maps rows columns"]) -> Float[Tensor, "places values"]:
    """The patches around all places, each in a row; beyond the border, the pixels at it."""
    padded = F.pad(maps, (RADIUS,) * 4, mode="replicate")
    return F.unfold(padded, 2 * RADIUS + 1).mT.flatten(0, 1).contiguous()
