"""`scbn`: normalised maps scaled and shifted by the sentence, and place by place by the words."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.attention import word_weights
from splice.domain.conditioning.places import everywhere, normalised, placewise
from splice.domain.conditioning.starting import Perceptron, draw


class SemanticNormalisation(nn.Module):
    """Semantic-conditioned normalisation at sentence and word level, (γ(s) + γ_j) ⊙ x̂_j + β(s) + β_j.

    Words are fused to the place j of the normalised maps x̂, whose maps are v_j = x̂_j, by

        e_j = Σ_t softmax_t(v_j · f(w_t)) f(w_t),   γ_j = A e_j,   β_j = B e_j

    with f a linear map; γ(s) and β(s) are perceptrons with one hidden layer of the sentence s. Yin et
    al., "Semantics Disentangling for Text-to-Image Generation" (SD-GAN, CVPR 2019), where it is batch
    normalisation. With one picture the batch's statistics are the picture's own.
    """

    def __init__(self, channels: int, width: int, *, rank: int, generator: torch.Generator) -> None:
        """Starts with the sentence's γ near 1, β near 0, and little of the words.

        Args:
            channels: of the maps.
            width: of sentence and words.
            rank: numbers in the hidden layer of each perceptron.
            generator: of the weights.
        """
        super().__init__()
        self.scale, self.shift = (
            Perceptron(width, rank, channels, around=around, generator=generator)
            for around in (1.0, 0.0)
        )
        self.to_maps = nn.Linear(width, channels)
        self.word_scale, self.word_shift = (
            nn.Linear(channels, channels, bias=False) for _ in range(2)
        )
        for part in (self.to_maps, self.word_scale, self.word_shift):
            draw(part, generator)

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"], condition: Condition
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The modulated maps."""
        x, sentence = normalised(maps), condition.sentence
        words = self.to_maps(condition.words)
        weights = word_weights(x, words, condition.present)
        # A of a mean of words is the mean of A of words, and there are fewer words than places.
        scale, shift = (
            everywhere(whole(sentence)) + placewise(weights, of_words(words).transpose(1, 2))
            for whole, of_words in ((self.scale, self.word_scale), (self.shift, self.word_shift))
        )
        return scale * x + shift
