"""`attention`: every place looks for its words."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.starting import draw, everywhere


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
        context = torch.einsum("bcyx,bcd->bdyx", weights, words)
        whole = everywhere(self.whole(condition.sentence)).expand_as(maps)
        return self.join(torch.cat([maps, whole, context], 1))


def word_weights(
    maps: Float[Tensor, "batch channels rows columns"],
    words: Float[Tensor, "batch words channels"],
    present: Bool[Tensor, "batch words"],
) -> Float[Tensor, "batch words rows columns"]:
    """How much each word counts at each place, softmax over the words of h_j · e_i.

    They sum to 1 over the words that are there; the others have 0.
    """
    scores = torch.einsum("bdyx,bcd->bcyx", maps, words)
    return scores.masked_fill(~present[:, :, None, None], float("-inf")).softmax(1)
