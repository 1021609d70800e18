"""What a frame has from the key frames: each of its patches takes what patches like it have there."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.video.alike import Sights

TEMPERATURE = 0.03
"""Of the softmax over cosines that says which patches are alike."""


@dataclass(frozen=True)
class Recalled:
    """What a frame has from the key frames.

    Attributes:
        values: of each of its patches.
        shares: how much each key frame has lent; their sum is 1.
    """

    values: Float[Tensor, "1 channels rows columns"]
    shares: Float[Tensor, " key_frames"]


class Memory:
    """Key frames, patch by patch: what each patch shows the transformer, and what was found for it."""

    @torch.no_grad()
    def __init__(
        self,
        sights: Sights,
        found: Sequence[Float[Tensor, "1 channels height width"]],
    ) -> None:
        """Remembers what was found.

        Args:
            sights: of the key frames.
            found: maps of each, whose means over patches are lent.
        """
        self._sights = sights
        self._keys = torch.cat(self._sights.tokens)
        values = [
            F.interpolate(maps, size=grid, mode="area")[0].flatten(1).T
            for maps, grid in zip(found, self._sights.grids, strict=True)
        ]
        self._values = torch.cat(values)
        owners = [torch.full((len(each),), i) for i, each in enumerate(values)]
        self._owners = F.one_hot(torch.cat(owners), len(values)).to(self._values)

    @torch.no_grad()
    def recall(self, frame: Float[Tensor, "1 3 height width"]) -> Recalled:
        """What the key frames lend to a frame, in [0, 1], by how alike patches are."""
        tokens, grid = self._sights.of(frame)
        alike = torch.softmax(tokens @ self._keys.T / TEMPERATURE, 1)
        values = (alike @ self._values).T.reshape(1, -1, *grid)
        return Recalled(values, (alike @ self._owners).mean(0))
