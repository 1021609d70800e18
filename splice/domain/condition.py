"""What a picture should look like, as the generator is told: a sentence, and words."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """Conditions of a batch of pictures.

    What is known of the whole picture is the sentence; what is known of parts of it are the words, in
    no order that a layer may rely on. They need not be language: the [CLS] of a picture is a sentence,
    the mean tokens of its parts are words.

    Attributes:
        sentence: of each picture.
        words: of each picture, as many as the picture with the most has.
        present: which of the words are there; the others are padding and count for nothing. Every
            picture has one at least: without words, the sentence is the only one.
    """

    sentence: Float[Tensor, "batch width"]
    words: Float[Tensor, "batch words width"]
    present: Bool[Tensor, "batch words"]

    @classmethod
    def of_sentence(cls, sentence: Float[Tensor, "batch width"]) -> "Condition":
        """A condition without words: the sentence is the only one."""
        present = torch.ones(len(sentence), 1, dtype=torch.bool, device=sentence.device)
        return cls(sentence, sentence[:, None], present)

    def __len__(self) -> int:
        return len(self.sentence)

    def __getitem__(self, rows: slice) -> "Condition":
        """The conditions of some pictures of the batch."""
        return Condition(self.sentence[rows], self.words[rows], self.present[rows])

    def to(self, place: torch.device | torch.dtype | str) -> "Condition":
        """The same numbers on another device or in another precision."""
        present = self.present if isinstance(place, torch.dtype) else self.present.to(place)
        return Condition(self.sentence.to(place), self.words.to(place), present)


def together(conditions: Sequence[Condition]) -> Condition:
    """Conditions of several batches as one, with padding where words are fewer."""
    most = max(each.words.shape[1] for each in conditions)
    words, present = [], []
    for each in conditions:
        missing = most - each.words.shape[1]
        words.append(torch.nn.functional.pad(each.words, (0, 0, 0, missing)))
        present.append(torch.nn.functional.pad(each.present, (0, missing)))
    sentence = torch.cat([each.sentence for each in conditions])
    return Condition(sentence, torch.cat(words), torch.cat(present))
