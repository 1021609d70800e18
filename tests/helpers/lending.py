"""Codes that patches lend to those twice as fine, in float64 and one by one."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]


def lent_in_a_loop(
    likeness: Tensor,
    grid: Grid,
    others: Sequence[Grid],
    coarse: tuple[Tensor, Tensor],
    fine: tuple[Tensor, Tensor],
    codes: Tensor,
    temperature: float,
) -> Tensor:
    """Likeness less what patches say of themselves, enlarged; what fine ones say; means of codes.

    Args:
        likeness: of patches of a grid and of other grids, side by side.
        grid: rows and columns of ours.
        others: of theirs.
        coarse: tokens of both.
        fine: likewise, twice as fine.
        codes: of the fine ones of theirs.
        temperature: of the softmax.
    """
    alone = coarse[0].double() @ coarse[1].double().T
    gain = 0.3 / 1.55 / alone.std()
    rest = larger(likeness.double() - gain * alone, grid)
    parts = rest.split([rows * columns for rows, columns in others], 1)
    scores = np.concatenate(
        [larger(part.T, other).T.numpy() for part, other in zip(parts, others, strict=True)], 1
    )
    scores = scores + (gain * (fine[0].double() @ fine[1].double().T)).numpy()
    lent = np.zeros((len(scores), codes.shape[1]))
    for row, score in enumerate(scores / temperature):
        shares = np.exp(score - score.max())
        for share, code in zip(shares / shares.sum(), codes.double().numpy(), strict=True):
            lent[row] += share * code
    return torch.from_numpy(lent)


def larger(values: Tensor, grid: Grid) -> Tensor:
    """Values of patches, brought to patches twice as fine by bilinear interpolation."""
    maps = values.T.reshape(1, -1, *grid)
    return F.interpolate(maps, scale_factor=2, mode="bilinear").flatten(2)[0].T
