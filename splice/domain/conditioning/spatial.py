"""`spatial`: the condition counts where a mask, found in the maps themselves, lets it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.places import everywhere, normalised
from splice.domain.conditioning.starting import Perceptron, draw
from splice.method.layers import MirrorBorder

MASK_CHANNELS = 100
"""Maps inside the mask predictor, at most; there are no more than it is given."""


class Spatial(nn.Module):
    """Semantic-spatial conditional normalisation, m ⊙ (γ(c) ⊙ x̂ + β(c)), c being the sentence.

    x̂ are the normalised maps, γ and β perceptrons with one hidden layer. The mask m, one number in
    [0, 1] a place, is predicted from the maps: a 3×3 convolution, normalisation, ReLU, a 1×1
    convolution, a sigmoid. Liao et al., "Text to Image Generation with Semantic-Spatial Aware GAN"
    (SSA-GAN, CVPR 2022). With one picture the batch's statistics, which the
    paper takes, are the picture's own.
    """

    def __init__(self, channels: int, width: int, *, rank: int, generator: torch.Generator) -> None:
        """Starts with γ near 1, β near 0, and masks half open.

        Args:
            channels: of the maps.
            width: of the sentence.
            rank: numbers in the hidden layer of each perceptron (256 in SSA-GAN).
            generator: of the weights.
        """
        super().__init__()
        self.scale, self.shift = (
            Perceptron(width, rank, channels, around=around, generator=generator)
            for around in (1.0, 0.0)
        )
        within = min(channels, MASK_CHANNELS)
        self.seek = nn.Sequential(MirrorBorder(), nn.Conv2d(channels, within, 3, bias=False))
        self.decide = nn.Conv2d(within, 1, 1)
        draw(self.seek, generator)
        draw(self.decide, generator)

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"], condition: Condition
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The modulated maps, 0 where the mask is."""
        scale, shift = self.scale(condition.sentence), self.shift(condition.sentence)
        return self.masks(maps) * (everywhere(scale) * normalised(maps) + everywhere(shift))

    def masks(
        self, maps: Float[Tensor, "batch channels rows columns"]
    ) -> Float[Tensor, "batch 1 rows columns"]:
        """Where the condition counts, in [0, 1]."""
        return torch.sigmoid(self.decide(torch.relu(normalised(self.seek(maps)))))
