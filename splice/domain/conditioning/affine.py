"""`film` and `affine`: maps scaled and shifted as the condition says, once or twice."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.places import everywhere, normalised
from splice.domain.conditioning.starting import Perceptron, linear


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


class Affine(nn.Module):
    """γ₂(c) ⊙ max(0, γ₁(c) ⊙ x̂ + β₁(c)) + β₂(c), each γ and β a small perceptron of the sentence c.

    x̂ are the normalised maps, so that one affine alone is the conditional normalisation (CBN) of Yin et
    al., "Semantics Disentangling for Text-to-Image Generation" (CVPR 2019). Two affines
    with ReLU between are the fusion block of Tao et al., "DF-GAN: A Simple and Effective Baseline for
    Text-to-Image Synthesis" (CVPR 2022); the ReLU after the second is the generator's.
    """

    def __init__(self, channels: int, width: int, *, rank: int, generator: torch.Generator) -> None:
        """Starts with γ near 1, β near 0.

        Args:
            channels: of the maps.
            width: of the sentence.
            rank: numbers between the two maps of each perceptron (256 in DF-GAN).
            generator: of the weights.
        """
        super().__init__()
        self.scales, self.shifts = (
            nn.ModuleList(
                Perceptron(width, rank, channels, around=around, generator=generator)
                for _ in range(2)
            )
            for around in (1.0, 0.0)
        )

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"], condition: Condition
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The modulated maps."""
        first, second = (
            (everywhere(scale(condition.sentence)), everywhere(shift(condition.sentence)))
            for scale, shift in zip(self.scales, self.shifts, strict=True)
        )
        return second[0] * torch.relu(first[0] * normalised(maps) + first[1]) + second[1]
