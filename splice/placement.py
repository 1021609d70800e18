"""Where in the other picture each patch, and each pixel of it, takes its look from.

Matches of patches are whole numbers, and pieces that are stretched by them would have a step every few
patches. So each patch gets a place between patches, from the costs beside its cheapest match, and
then a plane is laid through the places of the patches around it that are of the same piece: its value
is where the patch's middle lies, and its slope how much the piece is stretched, sheared or turned.
"""

from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

AROUND, SPREAD = 3, 1.5
"""Patches around that a plane is laid through, and the deviation of their weight with distance."""

PART = 1.0
"""Patches by which a place is off the plane at which it has lost 40 % of its weight."""

OTHER = 1.0
"""Difference of codes of meaning at which a patch has lost 40 % of its weight."""

STIFFNESS = 2.0
"""How much a slope holds to that of a picture that is not stretched; one patch has a weight of 1."""

ROUNDS = 4
"""Times that planes are laid, each time through the places that the last ones gave."""


@dataclass(frozen=True)
class Placement:
    """Places in the other picture, in rows and columns of its patches, counted from the first's middle.

    `places` are those of the middles of patches, `slopes` how far one moves there, along rows and
    columns (first), for a patch down or to the right (second).
    """

    places: Float[Tensor, "rows columns 2"]
    slopes: Float[Tensor, "rows columns 2 2"]

    def where(self, kept: Bool[Tensor, "rows columns"], other: "Placement") -> "Placement":
        """This placement where `kept` is set, and another elsewhere."""
        return Placement(
            torch.where(kept[..., None], self.places, other.places),
            torch.where(kept[..., None, None], self.slopes, other.slopes),
        )

    def agreement(self) -> Float[Tensor, "1 1 rows columns"]:
        """The share of the eight patches around each that lie where it expects them.

        1 inside a piece and 0 for a patch that stands alone; exp(-d²/2) of one that is d patches off.
        """
        agreed, there = self.places.new_zeros(2, *self.places.shape[:2]).unbind(0)
        for down, right in product((-1, 0, 1), repeat=2):
            if down == right == 0:
                continue
            beside, inside = _beside(self.places, down, right)
            off = (beside - self._expected(down, right)).square().sum(-1)
            agreed = agreed + inside * torch.exp(-off / 2)
            there = there + inside
        return (agreed / there.clamp_min(1))[None, None]

    def _expected(self, down: int, right: int) -> Float[Tensor, "rows columns 2"]:
        move = self.slopes.new_tensor([down, right])
        return self.places + self.slopes @ move


def unmoved(grid: tuple[int, int], device: torch.device) -> Placement:
    """Each patch in its own place."""
    rows, columns = (torch.arange(side, device=device, dtype=torch.float32) for side in grid)
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
    return Placement(places, torch.eye(2, device=device).expand(*grid, 2, 2))


@torch.no_grad()
def placement(
    costs: Float[Tensor, "rows columns 2 other_rows other_columns"],
    codes: Float[Tensor, "1 channels rows columns"],
    temperature: float,
) -> Placement:
    """Where patches lie whose matches cost so much, as they are (0) and mirrored (1).

    Args:
        costs: see `labelling.settled`.
        codes: what each patch means; those that mean something else have no say in a plane.
        temperature: of the softmax over the cheapest match and those beside it, of which the place is
            the mean.
    """
    grid, across = costs.shape[:2], costs.shape[-1]
    flat = costs.flatten(2)
    best = flat.argmin(2)
    mirrored, at = best // costs[0, 0, 0].numel(), best % costs[0, 0, 0].numel()
    row, column = at // across, at % across
    wide = F.pad(costs, (1, 1, 1, 1), value=torch.inf).flatten(2)
    first = (mirrored * (costs.shape[3] + 2) + row + 1) * (across + 2) + column + 1
    moves = list(product((-1, 0, 1), repeat=2))
    beside = [wide.gather(2, (first + d * (across + 2) + r)[..., None]) for d, r in moves]
    weights = (-torch.cat(beside, 2) / temperature).softmax(2)
    places = torch.stack([row, column], -1) + weights @ weights.new_tensor(moves)

    straight = torch.eye(2, device=costs.device).repeat(*grid, 1, 1)
    straight[..., 1, 1] = 1.0 - 2 * mirrored
    found = Placement(places, straight)
    holds = torch.diag(places.new_tensor([0, STIFFNESS, STIFFNESS]))
    meaning = codes[0].permute(1, 2, 0)
    for _ in range(ROUNDS):
        products, sums = holds.repeat(*grid, 1, 1), places.new_zeros(*grid, 3, 2)
        for down, right in product(range(-AROUND, AROUND + 1), repeat=2):
            there, inside = _beside(found.places, down, right)
            off = (there - found._expected(down, right)).square().sum(-1) / PART**2
            unlike = (_beside(meaning, down, right)[0] - meaning).square().mean(-1)
            far = (down**2 + right**2) / SPREAD**2
            weight = inside * torch.exp(-(off + unlike / OTHER**2 + far) / 2)
            weight = weight * (_beside(mirrored, down, right)[0] == mirrored)
            x = places.new_tensor([1, down, right])
            # What is left of a move that the slope does not explain, so that stiffness holds to it.
            left = there - straight @ x[1:]
            products += weight[..., None, None] * torch.outer(x, x)
            sums += weight[..., None, None] * (x[:, None] * left[..., None, :])
        planes = torch.linalg.solve(products, sums)
        found = Placement(planes[..., 0, :], straight + planes[..., 1:, :].mT)
    return found


def _beside(
    maps: Shaped[Tensor, "rows columns *values"], down: int, right: int
) -> tuple[Shaped[Tensor, "rows columns *values"], Float[Tensor, "rows columns"]]:
    """What is that far down and to the right of each patch, and whether there is anything."""
    rows, columns = maps.shape[:2]
    row, column = (
        torch.arange(side, device=maps.device) + move
        for side, move in ((rows, down), (columns, right))
    )
    inside = ((row >= 0) & (row < rows))[:, None] & ((column >= 0) & (column < columns))
    return maps[row.clamp(0, rows - 1)][:, column.clamp(0, columns - 1)], inside.float()
