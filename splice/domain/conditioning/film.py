"""`film`: each map scaled and shifted as the condition says."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.places import everywhere
from splice.domain.conditioning.starting import linear


class Film(nn.Module):
    """Feature-wise linear modulation, γ(c) ⊙ x + β(c), with linear maps γ and β of the sentence c.

    Perez, Strub, de Vries, Dumoulin, Courville, "FiLM: Visual Reasoning with a General Conditioning
    Layer" (AAAI 2018), eq. 1-2.
    """

    def __init__(self, channels: int, width: int, *, generator: torch.Generator) -> None:
        """Starts near the identity: γ near 1, β near 0."""
        super().__init__()
        self.scale = linear(width, channels, around=1.0, generator=generator)
        self.shift = linear(width, channels, around=0.0, generator=generator)

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"], condition: Condition
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The modulated maps."""
        scale, shift = self.scale(condition.sentence), self.shift(condition.sentence)
        return everywhere(scale) * maps + everywhere(shift)
