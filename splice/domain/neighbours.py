"""Which pictures of a domain go together: near neighbours by the frozen [CLS] token.

A network learns little from a pair that shares nothing. So pairs are drawn from near neighbours, and
pictures that have none are left out (Tumanyan et al., "Disentangling Structure and Appearance in ViT
Feature Space", 2023, where such a choice of data is called distillation).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

LONELINESS_OVER = 10
"""Nearest pictures whose mean distance says how lonely a picture is."""

DEVIATION = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""

CHUNK = 1024
"""Pictures whose distances to all others are in memory at once."""


@dataclass(frozen=True)
class Neighbours:
    """Pictures that are paired, and with which.

    Attributes:
        kept: indices of pictures that are learnt from, rising.
        near: of each of them, indices of the pictures that it is paired with, the nearest first.
        outliers: indices of pictures that were left out, the loneliest first.
        loneliness: of every picture, the mean distance to its nearest ones.
    """

    kept: Int[Tensor, " kept"]
    near: Int[Tensor, "kept neighbours"]
    outliers: Int[Tensor, " outliers"]
    loneliness: Float[Tensor, " pictures"]

    def draw(self, random: torch.Generator) -> tuple[int, int]:
        """A structure image and one of its neighbours as its appearance image, by their indices."""
        row = int(torch.randint(len(self.kept), (), generator=random))
        column = int(torch.randint(self.near.shape[1], (), generator=random))
        return int(self.kept[row]), int(self.near[row, column])


def find_neighbours(
    cls: Float[Tensor, "pictures width"], count: int, deviations: float
) -> Neighbours:
    """The nearest pictures of each, by the cosine of [CLS] tokens less their mean.

    What all pictures of a domain share says nothing of two of them, so the mean is taken off. A
    picture is an outlier if it lies farther from its ten nearest than is usual: by more than so many
    robust standard deviations (1.4826 times the median absolute deviation) above the median.

    Args:
        cls: the deepest [CLS] token of each picture; of two at least.
        count: of neighbours; fewer where there are not as many pictures.
        deviations: beyond which a picture is left out; 0 keeps all. Half of the pictures always stay.
    """
    unit = F.normalize(cls.double() - cls.double().mean(0), dim=1)
    loneliness = _nearest(unit, min(LONELINESS_OVER, len(unit) - 1))[0].mean(1)
    lonely = torch.zeros(len(unit), dtype=torch.bool)
    if deviations:
        median = loneliness.median()
        usual = DEVIATION * (loneliness - median).abs().median()
        # Where all pictures are alike, the smallest of differences would be many deviations.
        lonely = loneliness > median + deviations * usual.clamp_min(1e-6)
    kept = (~lonely).nonzero()[:, 0]
    _, near = _nearest(unit[kept], min(count, len(kept) - 1))
    outliers = lonely.nonzero()[:, 0]
    order = loneliness[outliers].argsort(descending=True, stable=True)
    return Neighbours(kept, kept[near], outliers[order], loneliness.float())


def _nearest(
    unit: Float[Tensor, "pictures width"], count: int
) -> tuple[Float[Tensor, "pictures count"], Int[Tensor, "pictures count"]]:
    """1 - cosine to the nearest others, and which they are."""
    distances, indices = [], []
    for start in range(0, len(unit), CHUNK):
        between = 1 - unit[start : start + CHUNK] @ unit.T
        rows = torch.arange(len(between))
        between[rows, start + rows] = torch.inf
        near = between.sort(dim=1, stable=True)
        distances.append(near.values[:, :count])
        indices.append(near.indices[:, :count])
    return torch.cat(distances), torch.cat(indices)
