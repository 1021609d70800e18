"""`attention`: every place looks for its words."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.places import everywhere, placewise
from splice.domain.conditioning.starting import draw


class Attention(nn.Module):
    """The context of each place, a mean of words weighted by how they meet its maps, joined to them.

        β_ji = softmax_i(h_j · U e_i),   k_j = Σ_i β_ji U e_i,   h_j ↦ K [h_j; V s; k_j] + b

    with e_i the words, s the sentence, and h_j the maps at place j. Xu et al., "AttnGAN: Fine-Grained
    Text to Image Generation with Attentional Generative Adversarial Networks" (CVPR 2018), section 3.1,
    for the words; the sentence is AttnGAN's global condition, as its first stage takes it.
    """

    def __init__(self, channels: int, width: int, *, generator: torch.Generator) -> None:
        """Draws the weights."""
        super().__init__()
        self.to_maps = nn.Linear(width, channels, bias=False)
        self.whole = nn.Linear(width, channels, bias=False)
        self.join = nn.Conv2d(3 * channels, channels, 1)
        draw(self, generator)

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"], condition: Condition
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The maps with their context."""
        words = self.to_maps(condition.words)
        weights = word_weights(maps, words, condition.present)
        whole = self.whole(condition.sentence)
        of_maps, of_whole, of_context = self.join.weight.chunk(3, 1)
        # K of a mean of words is the mean of K of words, and there are fewer words than places.
        context = placewise(weights, F.linear(words, of_context[:, :, 0, 0]).transpose(1, 2))
        beside = everywhere(F.linear(whole, of_whole[:, :, 0, 0]))
        return F.conv2d(maps, of_maps, self.join.bias) + beside + context


def word_weights(
    maps: Float[Tensor, "batch channels rows columns"],
    words: Float[Tensor, "batch words channels"],
    present: Bool[Tensor, "batch words"],
) -> Float[Tensor, "batch words rows columns"]:
    """How much each word counts at each place, softmax over the words of h_j · e_i.

    They sum to 1 over the words that are there; the others have 0.
    """
    scores = placewise(maps, words)
    return scores.masked_fill(~present[:, :, None, None], float("-inf")).softmax(1)
