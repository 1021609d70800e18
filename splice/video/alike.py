"""Which patches of a video's frames are alike, and what is found for them by agreement.

The same rock may lie below the sky in one key frame and at the top of another, where it would be taken
for sky. So like patches of all key frames are asked together.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method.semantics import LONG_SIDE

TEMPERATURE = 0.03
"""Of the softmax over cosines that says which patches of another key frame are asked."""

UNLIKE, ALIKE = 0.3, 0.6
"""Cosine of the likest patch up to which another key frame has no say, and from which all of it."""


class Sights:
    """What frames of a video show the frozen transformer, patch by patch.

    Attributes:
        tokens: of each key frame, of length 1; products are mean cosines of several blocks.
        grids: rows and columns of patches of each.
    """

    @torch.no_grad()
    def __init__(
        self,
        vit: FrozenViT,
        depths: Sequence[float],
        short_side: int,
        key_frames: Sequence[Float[Tensor, "1 3 height width"]],
    ) -> None:
        """Looks at the key frames, whose common mean is taken off all tokens.

        Args:
            vit: the frozen transformer.
            depths: blocks whose tokens say what is alike, in fractions of the depth.
            short_side: at which frames are seen, in pixels.
            key_frames: in [0, 1].
        """
        self._vit, self._blocks, self._side = vit, vit.blocks_at(depths), short_side
        seen = [self._seen(frame) for frame in key_frames]
        self._means = [
            torch.cat([tokens[number] for tokens, _ in seen]).mean(0)
            for number in range(len(self._blocks))
        ]
        self.tokens = [self._units(tokens) for tokens, _ in seen]
        self.grids = [grid for _, grid in seen]

    @torch.no_grad()
    def of(
        self, frame: Float[Tensor, "1 3 height width"]
    ) -> tuple[Float[Tensor, "patches token"], tuple[int, int]]:
        """Tokens of any frame, in [0, 1], as those of the key frames are; and their grid."""
        tokens, grid = self._seen(frame)
        return self._units(tokens), grid

    def _seen(self, frame: Tensor) -> tuple[list[Tensor], tuple[int, int]]:
        seen = self._vit(frame, tokens=self._blocks, short_side=self._side, long_side=LONG_SIDE)
        return [seen.tokens[block][0].float() for block in self._blocks], seen.grid

    def _units(self, tokens: Sequence[Tensor]) -> Float[Tensor, "patches token"]:
        units = [
            F.normalize(each - mean, dim=-1) for each, mean in zip(tokens, self._means, strict=True)
        ]
        return torch.cat(units, -1) / len(units) ** 0.5


@torch.no_grad()
def agreed(
    found: Sequence[Float[Tensor, "_ channels"]], tokens: Sequence[Float[Tensor, "_ width"]]
) -> list[Float[Tensor, "_ channels"]]:
    """What was found for patches of key frames, the mean over like patches of all key frames.

    Another key frame has as much of a say as its likest patch is like this one.

    Args:
        found: for the patches of each key frame.
        tokens: theirs, as `Sights` has them.
    """
    results = []
    for own, ours in zip(found, tokens, strict=True):
        summed, weights = own.clone(), torch.ones_like(own[:, :1])
        for other, theirs in zip(found, tokens, strict=True):
            if other is own:
                continue
            cosines = ours @ theirs.T
            likest = cosines.max(1, keepdim=True).values
            say = ((likest - UNLIKE) / (ALIKE - UNLIKE)).clamp(0, 1)
            summed += say * (torch.softmax(cosines / TEMPERATURE, 1) @ other)
            weights += say
        results.append(summed / weights)
    return results
