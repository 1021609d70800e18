"""Do captions and pictures belong together? Likeness at three levels, and the losses that teach it.

The deep attentional multimodal similarity model of Xu et al., "AttnGAN: Fine-Grained Text to Image
Generation with Attentional Generative Adversarial Networks" (CVPR 2018), section 3.2, with the tokens
of a frozen transformer in the place of their network's features.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.starting import draw

Scalar = Float[Tensor, ""]


@dataclass(frozen=True)
class Temperatures:
    """How sharply to look; AttnGAN's values for CUB (for COCO it takes 5 for the first).

    Attributes:
        regions: gamma 1, how much a word looks at its best regions alone.
        words: gamma 2, how much the best word decides for the caption.
        pictures: gamma 3, how much the best picture decides in a batch.
    """

    regions: float = 4.0
    words: float = 5.0
    pictures: float = 10.0


@dataclass(frozen=True)
class Regions:
    """What is seen in pictures, in the space of captions.

    Attributes:
        places: of the parts of each picture.
        whole: of each picture.
    """

    places: Float[Tensor, "batch places width"]
    whole: Float[Tensor, "batch width"]


class RegionEncoder(nn.Module):
    """A linear map of patch tokens, and one of [CLS], to the space of captions.

    Tokens are normalised first (layer norm without an affine): those of some transformers have a few
    channels that are hundreds of times larger than the rest.
    """

    def __init__(self, token: int, width: int, *, generator: torch.Generator) -> None:
        """Draws the weights.

        Args:
            token: width of the transformer's tokens.
            width: of the space of captions.
            generator: of the weights.
        """
        super().__init__()
        self.of_places, self.of_whole = (nn.Linear(token, width, bias=False) for _ in range(2))
        draw(self, generator)

    def forward(
        self, tokens: Float[Tensor, "batch places token"], cls: Float[Tensor, "batch token"]
    ) -> Regions:
        """Patches and pictures in the space of captions."""
        places, whole = (F.layer_norm(x, x.shape[-1:]) for x in (tokens, cls))
        return Regions(self.of_places(places), self.of_whole(whole))


def word_likeness(
    captions: Condition, regions: Regions, temperatures: Temperatures
) -> Float[Tensor, "captions pictures"]:
    """How well the words of each caption are found in each picture (AttnGAN, section 3.2).

    With words e_i and places v_j, s_ij = e_i · v_j:

        p_ij = softmax_i(s_ij),   c_i = Σ_j softmax_j(γ₁ p_ij) v_j,
        R = log (Σ_i exp(γ₂ cos(c_i, e_i))) / γ₂
    """
    words, places = captions.words, regions.places
    scores = torch.einsum("qtd,pjd->qptj", words, places)
    missing = ~captions.present[:, None, :, None]
    normal = scores.masked_fill(missing, float("-inf")).softmax(2)
    looks = (temperatures.regions * normal).softmax(3)
    contexts = torch.einsum("qptj,pjd->qptd", looks, places)
    found = temperatures.words * F.cosine_similarity(contexts, words[:, None], dim=-1)
    found = found.masked_fill(missing[..., 0], float("-inf"))
    return found.logsumexp(2) / temperatures.words


def sentence_likeness(
    captions: Condition, regions: Regions, temperatures: Temperatures
) -> Float[Tensor, "captions pictures"]:
    """How well each caption as a whole is found in the parts of each picture, in [-1, 1].

    The sentence e looks at places v_j as a word does: cos(c, e), where
    c = Σ_j softmax_j(γ₁ cos(e, v_j)) v_j. A lone word needs no softmax over words, so its likeness to
    a place stands for it.
    """
    sentence, places = captions.sentence, regions.places
    scores = torch.einsum("qd,pjd->qpj", F.normalize(sentence, dim=-1), F.normalize(places, dim=-1))
    context = torch.einsum("qpj,pjd->qpd", (temperatures.regions * scores).softmax(2), places)
    return F.cosine_similarity(context, sentence[:, None], dim=-1)


def picture_likeness(captions: Condition, regions: Regions) -> Float[Tensor, "captions pictures"]:
    """The cosine of each sentence and each whole picture (AttnGAN's global level)."""
    return F.normalize(captions.sentence, dim=-1) @ F.normalize(regions.whole, dim=-1).T


def matching_loss(
    likeness: Float[Tensor, "batch batch"],
    sharpness: float,
    alike: Bool[Tensor, "batch batch"] | None = None,
) -> Scalar:
    """How badly captions find their picture in the batch, and pictures their caption (AttnGAN).

    -mean_i (log softmax_j(γ₃ R_ij) + log softmax_j(γ₃ R_ji)) at j = i; 0 when all are found.

    Args:
        likeness: R of caption i and picture j; those of the same number belong together.
        sharpness: γ₃.
        alike: captions and pictures that fit as well though they are others' (of the same picture, or
            class): they count neither as right nor as wrong. The diagonal is right whatever it says.
    """
    scores = sharpness * likeness
    if alike is not None:
        own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(alike & ~own, float("-inf"))
    right = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)


def matching_losses(
    captions: Condition,
    regions: Regions,
    temperatures: Temperatures,
    alike: Bool[Tensor, "batch batch"] | None = None,
) -> dict[str, Scalar]:
    """The loss at each level: `words` and `sentences` against regions, `pictures` as wholes."""
    likeness = {
        "words": word_likeness(captions, regions, temperatures),
        "sentences": sentence_likeness(captions, regions, temperatures),
        "pictures": picture_likeness(captions, regions),
    }
    return {
        level: matching_loss(each, temperatures.pictures, alike) for level, each in likeness.items()
    }
