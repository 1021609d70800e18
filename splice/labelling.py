"""Matches that hang together: a picture cut to few pieces, each bent rather than torn.

Each patch by itself is most like some patch of the other picture, and those are all over the place.
Here neighbours pay for parting: a little for each patch by which a piece is stretched, and no more than
the price of a tear. What is cheapest as a whole is sought by belief propagation on the grid (min-sum;
Felzenszwalb and Huttenlocher, "Efficient Belief Propagation for Early Vision", 2006), with patches in
place of the flow of pixels (after Liu, Yuen, Torralba, "SIFT Flow", 2011). Tears are cheap where the
meaning of the picture changes.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SWEEPS = 4
"""Times that news goes through the whole grid in each of the four directions."""

UNLIKE = 0.6
"""Difference of codes of meaning at which two neighbours' bond has lost 40 % of what it can lose."""

LOOSEST = 0.15
"""The bond of neighbours that mean something else altogether."""

FAR = 1e3
"""The cost of what lies outside the other picture."""

Labels = Float[Tensor, "patches 2 other_rows other_columns"]


def bonds(
    codes: Float[Tensor, "1 channels rows columns"],
) -> tuple[Float[Tensor, "below columns"], Float[Tensor, "rows beside"]]:
    """How much patches hold on to the one below and to the one at the right, in (0, 1].

    Args:
        codes: what each patch means, with variance 1 in each channel.
    """

    def bond(difference: Tensor) -> Tensor:
        likeness = torch.exp(-difference.square().mean(0) / (2 * UNLIKE**2))
        return LOOSEST + (1 - LOOSEST) * likeness

    return bond(codes[0].diff(dim=1)), bond(codes[0].diff(dim=2))


@torch.no_grad()
def settled(
    costs: Float[Tensor, "rows columns 2 other_rows other_columns"],
    below: Float[Tensor, "below columns"],
    beside: Float[Tensor, "rows beside"],
    stretch: float,
    tear: float,
) -> Float[Tensor, "rows columns 2 other_rows other_columns"]:
    """What each patch's match costs by itself and with the best that the others can do about it.

    A patch matched with another at (r, c) expects the one below it to be matched with (r + 1, c), and
    the one at its right with (r, c + 1), or (r, c - 1) if it is mirrored. Its neighbour pays `stretch`
    for each row and column that it is elsewhere, but at most `tear`, times their bond; to be mirrored
    when the other is not costs a tear.

    Args:
        costs: of each match by itself: as it is (0) and mirrored (1).
        below: bonds of patches with those below them.
        beside: bonds of patches with those at their right.
        stretch: cost of a patch too far or too near.
        tear: the largest cost between two neighbours, for a bond of 1.
    """
    rows, columns = costs.shape[:2]
    up, down, left, right = (torch.zeros_like(costs) for _ in range(4))

    def told(known: Labels, bond: Tensor, move: tuple[int, int]) -> Labels:
        """What patches tell their neighbours of the neighbours' matches."""
        bond = bond[:, None, None, None]
        known = (known - known.amin((1, 2, 3), keepdim=True)) / bond
        return bond * _expected(known, stretch, *move).clamp_max(tear)

    for _ in range(SWEEPS):
        for here, there in pairwise(range(columns)):
            known = costs[:, here] + left[:, here] + up[:, here] + down[:, here]
            left[:, there] = told(known, beside[:, here], (0, 1))
        for here, there in pairwise(range(columns - 1, -1, -1)):
            known = costs[:, here] + right[:, here] + up[:, here] + down[:, here]
            right[:, there] = told(known, beside[:, there], (0, -1))
        for here, there in pairwise(range(rows)):
            known = costs[here] + up[here] + left[here] + right[here]
            up[there] = told(known, below[here], (1, 0))
        for here, there in pairwise(range(rows - 1, -1, -1)):
            known = costs[here] + down[here] + left[here] + right[here]
            down[there] = told(known, below[there], (-1, 0))
    return costs + up + down + left + right


def _stretched(known: Labels, stretch: float) -> Labels:
    """The least of all costs, each more by `stretch` for each row and column of distance.

    A step of 1 to either side, then one of 2, of 4 and so on reach any distance.
    """
    for side in (2, 3):
        step, length = 1, known.shape[side]
        while step < length:
            before, after = (
                known.narrow(side, 0, length - step),
                known.narrow(side, step, length - step),
            )
            least = known.clone()
            for part, other in (
                (least.narrow(side, 0, length - step), after),
                (least.narrow(side, step, length - step), before),
            ):
                torch.minimum(part, other + stretch * step, out=part)
            known, step = least, 2 * step
    return known


def _expected(known: Labels, stretch: float, down: int, right: int) -> Labels:
    """The least cost of a neighbour that far down or to the right; in the mirror, to the left.

    What it pays is the distance from where it is expected, which may be outside the other picture.
    """
    rows, columns = known.shape[2:]
    border = abs(right), abs(right), abs(down), abs(down)
    wide = _stretched(F.pad(known, border, value=FAR), stretch)
    halves = []
    for half, across in zip(wide.unbind(1), (right, -right), strict=True):
        top, start = abs(down) - down, abs(across) - across
        halves.append(half[:, top : top + rows, start : start + columns])
    return torch.stack(halves, 1)
