"""Captions as conditions: a vocabulary, and the network that reads a caption."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from splice.domain.condition import Condition
from splice.domain.conditioning.starting import draw_uniform
from splice.errors import InputError

NOTHING, UNKNOWN = 0, 1
"""Numbers of what pads a caption, and of a word that the vocabulary lacks."""

LONGEST = 40
"""Words of a caption that are read; the rest is cut off."""

EMBEDDING = 300
"""Numbers that a word is looked up as, as in AttnGAN."""


def words_of(caption: str) -> list[str]:
    """The words of a caption, in small letters, without punctuation."""
    return re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)*", caption.lower())


@dataclass(frozen=True)
class Vocabulary:
    """The words that a text encoder knows, each with a number from 2 on.

    Attributes:
        words: all of them, the most frequent first.
    """

    words: tuple[str, ...]

    @classmethod
    def of_captions(cls, captions: Iterable[str], least: int = 1) -> "Vocabulary":
        """The words of captions.

        Args:
            captions: to learn from.
            least: times that a word must be there.

        Raises:
            InputError: there are no such words.
        """
        counts = Counter(word for caption in captions for word in words_of(caption))
        frequent = [word for word, count in counts.items() if count >= least]
        if not frequent:
            raise InputError(f"the captions have no word that is there {least} times or more")
        return cls(tuple(sorted(frequent, key=lambda word: (-counts[word], word))))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Vocabulary":
        """The vocabulary that `to_dict` gave.

        Raises:
            InputError: it is something else.
        """
        words = values.get("words")
        if (
            not isinstance(words, list | tuple)
            or not words
            or not all(isinstance(word, str) and words_of(word) == [word] for word in words)
            or len(set(words)) != len(words)
        ):
            raise InputError("the vocabulary is damaged: it should be a list of different words")
        return cls(tuple(words))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return {"words": list(self.words)}

    @property
    def size(self) -> int:
        """How many numbers there are, those of padding and of unknown words included."""
        return len(self.words) + 2

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, UNKNOWN + 1)}

    def unknown(self, caption: str) -> list[str]:
        """The words of a caption that the vocabulary lacks, in their order, each once."""
        return [word for word in dict.fromkeys(words_of(caption)) if word not in self._numbers]

    def encode(self, captions: Sequence[str]) -> Int[Tensor, "batch words"]:
        """The numbers of each caption's words, and 0 after the last.

        Raises:
            InputError: a caption without a word.
        """
        lines = []
        for caption in captions:
            words = words_of(caption)[:LONGEST]
            if not words:
                raise InputError(f"the caption {caption!r} has no words")
            lines.append([self._numbers.get(word, UNKNOWN) for word in words])
        longest = max(map(len, lines), default=0)
        return torch.tensor([line + [NOTHING] * (longest - len(line)) for line in lines])


class TextEncoder(nn.Module):
    """A bidirectional LSTM: its outputs are the words, its last states of both ways the sentence.

    Xu et al., "AttnGAN" (CVPR 2018), section 3.2, "The text encoder". There is no dropout: a network
    that starts from the same seed reads the same.

    Attributes:
        width: of the sentence and of words; half of it is each direction's.
    """

    def __init__(self, size: int, width: int, *, generator: torch.Generator) -> None:
        """Draws the weights.

        Args:
            size: of the vocabulary.
            width: of the sentence and of words.
            generator: of the weights.

        Raises:
            InputError: an odd width.
        """
        super().__init__()
        if width < 2 or width % 2:
            raise InputError(f"a text encoder {width} wide: both directions take half, it is even")
        self.width = width
        self.lookup = nn.Embedding(size, EMBEDDING)
        self.reader = nn.LSTM(EMBEDDING, width // 2, batch_first=True, bidirectional=True)
        draw_uniform(self.lookup.parameters(), 0.1, generator)
        draw_uniform(self.reader.parameters(), (width // 2) ** -0.5, generator)

    def forward(self, numbers: Int[Tensor, "batch words"]) -> Condition:
        """The conditions that captions are.

        Args:
            numbers: of the words, as the vocabulary gives them; the place is the encoder's.
        """
        present = numbers != NOTHING
        packed = pack_padded_sequence(
            self.lookup(numbers), present.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, (last, _) = self.reader(packed)
        words, _ = pad_packed_sequence(outputs, batch_first=True, total_length=numbers.shape[1])
        return Condition(last.transpose(0, 1).flatten(1), words, present)
