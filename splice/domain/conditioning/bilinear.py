"""`bilinear`: products of maps and condition, added to the maps."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.places import everywhere, placewise
from splice.domain.conditioning.starting import draw


class Bilinear(nn.Module):
    """The bilinear residual layer of low rank, x ↦ x + P(U x ∘ V c), c being the sentence.

    x and c are taken with a 1 appended (U and V have biases), so that terms of either alone are in
    reach. U, V and P are of rank `rank`, as in Kim et al., "Hadamard Product for Low-rank Bilinear
    Pooling" (ICLR 2017). Mao et al., "Bilinear Representation for Language-based Image Editing Using
    Conditional Generative Adversarial Networks" (ICASSP 2019).
    """

    def __init__(self, channels: int, width: int, *, rank: int, generator: torch.Generator) -> None:
        """Draws the weights.

        Args:
            channels: of the maps.
            width: of the sentence.
            rank: number of products (256 in the paper).
            generator: of the weights.
        """
        super().__init__()
        self.of_maps = nn.Conv2d(channels, rank, 1)
        self.of_sentence = nn.Linear(width, rank)
        self.back = nn.Conv2d(rank, channels, 1, bias=False)
        draw(self, generator)
        # Products with an untrained V c of mean 0 alone would leave x as good as unconditioned.
        nn.init.ones_(self.of_sentence.bias)

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"], condition: Condition
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The maps and what the products add."""
        # P (U x ∘ v) = (P diag(v) U) x: a small matrix a picture, instead of `rank` maps of its size.
        back = self.back.weight[:, :, 0, 0] * self.of_sentence(condition.sentence)[:, None]
        matrices, constants = back @ self.of_maps.weight[:, :, 0, 0], back @ self.of_maps.bias
        return maps + placewise(maps, matrices) + everywhere(constants)


class FullBilinear(nn.Module):
    """The bilinear residual layer of full rank, x_o ↦ x_o + [x; 1]ᵀ W_o [c; 1]  (Mao et al., 2019).

    Attributes:
        weight: W_o for each map o.
    """

    def __init__(self, channels: int, width: int, *, generator: torch.Generator) -> None:
        """Draws the weights, uniform within ±1/√(numbers that one output is a sum of)."""
        super().__init__()
        bound = ((channels + 1) * (width + 1)) ** -0.5
        weight = torch.empty(channels, channels + 1, width + 1)
        self.weight = nn.Parameter(weight.uniform_(-bound, bound, generator=generator))

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"], condition: Condition
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The maps and what the form adds."""
        return maps + bilinear_form(maps, condition.sentence, self.weight)


def bilinear_form(
    maps: Float[Tensor, "batch channels rows columns"],
    sentence: Float[Tensor, "batch width"],
    weight: Float[Tensor, "outputs channels_and_1 width_and_1"],
) -> Float[Tensor, "batch outputs rows columns"]:
    """[x; 1]ᵀ W_o [c; 1] at every place: all products of a map and a number of the condition.

    Concatenation, and FiLM followed by a 1×1 convolution or not, are forms with special W (Mao et al.,
    2019).
    """
    # First the condition: what is left is a small matrix for each picture, applied at all places.
    matrices = weight @ F.pad(sentence, (0, 1), value=1.0).T
    matrices = matrices.permute(2, 0, 1)
    return placewise(maps, matrices[:, :, :-1]) + everywhere(matrices[:, :, -1])
