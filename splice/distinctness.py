"""Whether a part has a counterpart of its own, as an eye has, or any of many will do, as for rock.

What is distinct must come from where its counterpart is: the nose from the nose. For the rest it is
enough to look right, and the relief of a mountain need not be the other mountain's.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from splice.objective import means_around

APART = 3
"""Patches, along rows or columns, within which two places are one."""

AROUND = 2
"""Patches in each direction over which margins are averaged: what counts is the part."""

MARGIN, STEEPNESS = 0.022, 6
"""Margin at which a patch is half distinct (noses have 0.03, slopes 0.015), and how fast that
changes."""


def distinctness(
    likeness: Float[Tensor, "2 patches others"], grid: tuple[int, int], other_grid: tuple[int, int]
) -> Float[Tensor, "1 1 rows columns"]:
    """How distinct each patch is, in [0, 1]: m⁶ / (m⁶ + 0.022⁶).

    m is how much more alike the best patch of the other picture is than the best one apart from it: the
    mean of that over patches around.

    Args:
        likeness: of patches as they are and in the mirror, see `Semantics`.
        grid: rows and columns of the patches.
        other_grid: those of the other picture's.
    """
    alike = likeness.amax(0)
    best, at = alike.max(1)
    place = torch.arange(alike.shape[1], device=alike.device)
    down = (place // other_grid[1] - (at // other_grid[1])[:, None]).abs()
    right = (place % other_grid[1] - (at % other_grid[1])[:, None]).abs()
    apart = alike.masked_fill(torch.maximum(down, right) <= APART, -torch.inf).amax(1)
    # Where there is nothing apart, all is distinct: the likeness of keys is within ±1.
    margin = means_around((best - apart).clamp(0, 2).reshape(1, 1, *grid), AROUND) / MARGIN
    return 1 / (1 + margin.clamp_min(1e-6) ** -STEEPNESS)
