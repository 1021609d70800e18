"""Features of a frozen vision transformer: [CLS], patch tokens, keys, queries, values, attention.

Appearance lives in the [CLS] token, structure in the self-similarity of the deepest keys (Tumanyan et
al., "Splicing ViT Features for Semantic Appearance Transfer", CVPR 2022, section 3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

KINDS = ("cls", "tokens", "keys", "queries", "values", "attention")


@dataclass(frozen=True)
class Features:
    """What one forward pass found, each kind by its block, counted from 1.

    `cls` and `tokens` leave the block (before any final norm). `keys`, `queries` and `values` are those
    of the block's attention with heads concatenated, [CLS] first, register tokens dropped. `attention`
    is how much the [CLS] query attends to each patch, by head. Patches run row by row over `grid`.
    """

    grid: tuple[int, int]
    cls: Mapping[int, Float[Tensor, "batch width"]] = field(default_factory=dict)
    tokens: Mapping[int, Float[Tensor, "batch patches width"]] = field(default_factory=dict)
    keys: Mapping[int, Float[Tensor, "batch tokens width"]] = field(default_factory=dict)
    queries: Mapping[int, Float[Tensor, "batch tokens width"]] = field(default_factory=dict)
    values: Mapping[int, Float[Tensor, "batch tokens width"]] = field(default_factory=dict)
    attention: Mapping[int, Float[Tensor, "batch heads patches"]] = field(default_factory=dict)

    def __getitem__(self, rows: slice) -> "Features":
        """The features of some images of the batch."""
        cut = {kind: {b: x[rows] for b, x in getattr(self, kind).items()} for kind in KINDS}
        return Features(self.grid, **cut)


def together(parts: Sequence[Features]) -> Features:
    """The features of images that were seen one by one."""
    first = parts[0]
    joined = {
        kind: {
            b: torch.cat([getattr(part, kind)[b] for part in parts]) for b in getattr(first, kind)
        }
        for kind in KINDS
    }
    return Features(first.grid, **joined)


def self_similarity(
    keys: Float[Tensor, "batch tokens width"],
) -> Float[Tensor, "batch tokens tokens"]:
    """Cosine of each key with each other: structure without appearance (Splice, section 3.1, eq. 1).

    Returns values in [-1, 1] with ones on the diagonal.
    """
    unit = F.normalize(keys, dim=-1)
    return unit @ unit.transpose(-1, -2)
