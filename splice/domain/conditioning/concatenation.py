"""`concatenation`: the condition stands beside every pixel."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.places import everywhere
from splice.domain.conditioning.starting import draw


class Concatenation(nn.Module):
    """A linear map of the sentence, tiled over all places and joined to the maps: K [x; B c + b] + k.

    The 1×1 convolution K brings both back to as many maps x as there were. Zhang et al., "StackGAN:
    Text to Photo-Realistic Image Synthesis with Stacked Generative Adversarial Networks" (ICCV 2017):
    the text is compressed by a linear map, replicated over space, concatenated along the
    channels, and a 1×1 convolution learns features across both.
    """

    def __init__(self, channels: int, width: int, *, rank: int, generator: torch.Generator) -> None:
        """Draws the weights.

        Args:
            channels: of the maps.
            width: of the sentence.
            rank: numbers that the sentence is brought to (128 in StackGAN).
            generator: of the weights.
        """
        super().__init__()
        self.compress = nn.Linear(width, rank)
        self.join = nn.Conv2d(channels + rank, channels, 1)
        draw(self, generator)

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"], condition: Condition
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The maps of both."""
        of_maps, of_sentence = self.join.weight.split(
            [maps.shape[1], self.compress.out_features], 1
        )
        # The tiled numbers are the same everywhere, and so is what the convolution makes of them.
        beside = F.linear(self.compress(condition.sentence), of_sentence[:, :, 0, 0])
        return F.conv2d(maps, of_maps, self.join.bias) + everywhere(beside)
