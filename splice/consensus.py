"""Matches that agree with those of the patches around."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def around(
    likeness: Float[Tensor, "2 patches others"],
    grid: tuple[int, int],
    other_grid: tuple[int, int],
    radius: int,
) -> Float[Tensor, "2 patches others"]:
    """How alike patches are together with what is around them.

    The patch to the left is compared with the one to the left, and so on; in the mirror, with the one
    to the right. By itself a patch of a white cheek may find any white fur; together with its
    surroundings it finds the cheek. (The idea, with weights that are learnt: Rocco et al.,
    "Neighbourhood Consensus Networks", NeurIPS 2018.)

    Args:
        likeness: of single patches as they are (0), and with the other picture's in the mirror (1);
            rows and columns run over the grids row by row.
        grid: rows and columns of the patches.
        other_grid: those of the other picture's.
        radius: in patches; 0 leaves everything as it is.

    Returns:
        Weighted means over moves of both patches by up to `radius` rows and columns, with weights that
        fall with distance as a normal distribution of deviation 2/3 `radius`. Moves that leave either
        grid do not count.
    """
    if radius == 0:
        return likeness
    straight, mirrored = likeness.reshape(2, *grid, *other_grid)
    found = _mean_around(straight, radius)
    turned = _mean_around(mirrored.flip(3), radius).flip(3)
    return torch.stack([found, turned]).reshape(likeness.shape)


def _mean_around(
    joint: Float[Tensor, "rows columns other_rows other_columns"], radius: int
) -> Float[Tensor, "rows columns other_rows other_columns"]:
    """Weighted means over moves of both patches, see `around`.

    Args:
        joint: a value for every two patches.
        radius: most rows and columns of a move.
    """
    # Weights are products of one for rows and one for columns, so each can be summed by itself.
    beside = _moved(joint, 1, radius)
    sums = joint + beside + _moved(joint + beside, 0, radius)
    ones = torch.ones_like(joint[:, :1, :, :1])
    rows = _moved(ones, 0, radius)
    columns = _moved(torch.ones_like(joint[:1, :, :1]), 1, radius)
    return sums / ((1 + rows) * (1 + columns))


def _moved(
    joint: Float[Tensor, "rows columns other_rows other_columns"], side: int, radius: int
) -> Float[Tensor, "rows columns other_rows other_columns"]:
    """Weighted sums over moves of both patches along rows (side 0) or columns (side 1), but none."""
    sums = torch.zeros_like(joint)
    for distance in range(1, radius + 1):
        weight = math.exp(-(distance**2) / (2 * (radius / 1.5) ** 2))
        length = min(joint.shape[side], joint.shape[side + 2]) - distance
        if length <= 0:
            continue
        near, far = (slice(None, -distance), slice(distance, None))
        for here, there in ((near, far), (far, near)):
            both = [slice(None)] * 4
            both[side] = both[side + 2] = here
            others = [slice(None)] * 4
            others[side] = others[side + 2] = there
            sums[tuple(both)] += weight * joint[tuple(others)]
    return sums
