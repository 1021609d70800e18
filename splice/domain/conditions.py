"""Pictures as conditions: what the frozen transformer sees in them, of the whole and of parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.domain.condition import Condition, together
from splice.errors import InputError
from splice.method.clusters import k_means, nearest_centre

DEPTHS = (0.25, 0.5, 0.75, 1.0)
"""Depths of the blocks whose tokens are taken: shallow ones tell colours, deep ones what things are."""


@dataclass(frozen=True)
class Look:
    """How the transformer looks at a picture to tell its condition.

    Attributes:
        parts: words that a picture is told in, of as many soft parts; 0 for the sentence alone.
        depths: of the blocks whose tokens are taken, in (0, 1].
        short_side: pixels at which pictures are seen.
        seed: of the grouping into parts.
    """

    parts: int = 0
    depths: tuple[float, ...] = DEPTHS
    short_side: int = 224
    seed: int = 0

    def width(self, vit: FrozenViT) -> int:
        """Of the sentence and of words: a token for each of the blocks."""
        return len(vit.blocks_at(self.depths)) * vit.width


@torch.no_grad()
def see(vit: FrozenViT, images: Float[Tensor, "batch 3 height width"], look: Look) -> Condition:
    """The conditions of pictures in [0, 1], before they are standardised.

    The sentence is the [CLS] of several blocks, each of length 1. A word is the mean of the patch
    tokens of a part, of the same blocks, each of length 1.
    """
    blocks = vit.blocks_at(look.depths)
    tokens = blocks if look.parts else []
    seen = vit(images, cls=blocks, tokens=tokens, short_side=look.short_side)
    sentence = torch.cat([F.normalize(seen.cls[b].float(), dim=-1) for b in blocks], -1)
    if not look.parts:
        return Condition.of_sentence(sentence)
    of_patches = torch.cat([F.normalize(seen.tokens[b].float(), dim=-1) for b in blocks], -1)
    words = torch.stack([part_means(patches, look.parts, look.seed) for patches in of_patches])
    return Condition(
        sentence, words, torch.ones(words.shape[:2], dtype=torch.bool).to(words.device)
    )


def part_means(
    tokens: Float[Tensor, "patches width"], parts: int, seed: int
) -> Float[Tensor, "parts width"]:
    """The mean token of each soft part of a picture.

    Parts are groups of like tokens (k-means). How much a patch belongs to a part falls with the squared
    distance d² of its token from the part's centre, softmax(-d² / w), w being half the mean d² of
    patches from the nearest centre: so parts overlap where tokens do. With the whole mean, words of
    photographs are half as far apart as the centres are.
    """
    centres = k_means(tokens, parts, torch.Generator().manual_seed(seed))
    apart = torch.cdist(tokens, centres).square()
    width = (tokens - centres[nearest_centre(tokens, centres)]).square().sum(1).mean() / 2
    members = torch.softmax(-apart / width.clamp_min(1e-12), 1)
    return members.T @ tokens / members.sum(0)[:, None].clamp_min(1e-12)


@dataclass(frozen=True)
class Standard:
    """Mean and deviation of the numbers of conditions over a domain, which a model is kept with.

    Attributes:
        sentence_mean: of each number of the sentences.
        sentence_deviation: likewise.
        word_mean: of each number of the words that are there.
        word_deviation: likewise.
    """

    sentence_mean: Float[Tensor, " width"]
    sentence_deviation: Float[Tensor, " width"]
    word_mean: Float[Tensor, " width"]
    word_deviation: Float[Tensor, " width"]

    def tensors(self) -> dict[str, Tensor]:
        """By name, for a file."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Standard":
        """The standard that `tensors` gave.

        Raises:
            InputError: something is missing, or not of one width.
        """
        names = [each.name for each in fields(cls)]
        missing = [name for name in names if name not in tensors]
        if missing:
            raise InputError(f"the standard of conditions is damaged: it lacks {missing[0]}")
        if len({tuple(tensors[name].shape) for name in names}) > 1 or tensors[names[0]].ndim != 1:
            raise InputError("the standard of conditions is damaged: its parts differ in width")
        return cls(**{name: tensors[name] for name in names})

    def applied(self, condition: Condition) -> Condition:
        """The condition with each number of mean 0 and deviation 1 over the domain."""
        mean, deviation, word_mean, word_deviation = (
            each.to(condition.sentence) for each in self.tensors().values()
        )
        return Condition(
            (condition.sentence - mean) / deviation,
            (condition.words - word_mean) / word_deviation,
            condition.present,
        )


def find_standard(conditions: Sequence[Condition]) -> Standard:
    """The standard of a domain, from the conditions of its pictures.

    A number that hardly changes over the domain is not blown up: deviations are a tenth of their
    mean at least.

    Raises:
        InputError: fewer than two pictures.
    """
    if sum(map(len, conditions)) < 2:
        raise InputError("conditions of one picture have no standard: give two pictures or more")
    every = together(conditions)
    numbers: list[Tensor] = []
    for samples in (every.sentence, every.words[every.present]):
        variance, mean = torch.var_mean(samples.double(), 0, correction=0)
        deviation = variance.sqrt()
        least = (0.1 * deviation.mean()).clamp_min(1e-6)
        numbers += [mean.float(), deviation.clamp_min(least).float()]
    return Standard(*numbers)
