"""Captions read and compared with pictures: the text encoder, and the map of what the ViT sees."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call

from splice.domain.condition import Condition
from splice.domain.matching import (
    RegionEncoder,
    Regions,
    Temperatures,
    matching_losses,
    picture_likeness,
)
from splice.domain.objective import Seen
from splice.domain.parallel import World, gathered
from splice.domain.text import LONGEST, TextEncoder, Vocabulary, words_of

TEMPERATURES = Temperatures()


class Reader(nn.Module):
    """Reads captions, and says how badly they fit pictures.

    Attributes:
        vocabulary: the words that it knows.
        encoder: of captions.
        regions: of what the frozen transformer sees.
    """

    def __init__(
        self, vocabulary: Vocabulary, token: int, width: int, *, generator: torch.Generator
    ) -> None:
        """Draws the weights.

        Args:
            vocabulary: of the domain's captions.
            token: width of the transformer's tokens.
            width: of sentences and words.
            generator: of the weights.

        Raises:
            InputError: an odd width.
        """
        super().__init__()
        self.vocabulary = vocabulary
        self.encoder = TextEncoder(vocabulary.size, width, generator=generator)
        self.regions = RegionEncoder(token, width, generator=generator)

    def read(self, captions: Sequence[str]) -> Condition:
        """The conditions that captions are.

        Raises:
            InputError: a caption without a word.
        """
        numbers = self.vocabulary.encode(captions)
        return self.encoder(numbers.to(self.encoder.lookup.weight.device))

    def losses(
        self, read: Condition, captions: Sequence[str], seen: Seen, world: World
    ) -> dict[str, Float[Tensor, ""]]:
        """How badly captions fit their pictures, and find them among those of the joint batch.

        Args:
            read: what `read` gave for the captions.
            captions: of the pictures.
            seen: the pictures.
            world: whose joint batch it is.
        """
        return _matched(read, captions, self.regions(seen.tokens, seen.cls[-1]), world)

    def judged(
        self, read: Condition, captions: Sequence[str], seen: Seen, world: World
    ) -> dict[str, Float[Tensor, ""]]:
        """The same of paintings, from which nothing about reading is learnt.

        Else the reader would learn to find in paintings what is not there.
        """
        fixed = {name: weight.detach() for name, weight in self.regions.named_parameters()}
        regions = functional_call(self.regions, fixed, (seen.tokens, seen.cls[-1]))
        still = Condition(read.sentence.detach(), read.words.detach(), read.present)
        return _matched(still, captions, regions, world)

    @torch.no_grad()
    def ranks(self, captions: Sequence[str], seen: Seen) -> Float[Tensor, "captions pictures"]:
        """How well captions fit whole pictures, for finding the one of the other."""
        whole = self.regions(seen.tokens, seen.cls[-1])
        return picture_likeness(self.read(captions), whole)


def _matched(
    read: Condition, captions: Sequence[str], regions: Regions, world: World
) -> dict[str, Float[Tensor, ""]]:
    said = list(captions)
    if world.size > 1:
        everyone: list[list[str]] = [[] for _ in range(world.size)]
        dist.all_gather_object(everyone, said)
        said = [caption for captions in everyone for caption in captions]
        # What is gathered must have one length everywhere.
        missing = LONGEST - read.words.shape[1]
        present = F.pad(read.present, (0, missing)).to(read.sentence)
        read = Condition(
            gathered(read.sentence, world),
            gathered(F.pad(read.words, (0, 0, 0, missing)), world),
            gathered(present, world) > 0,
        )
        regions = Regions(gathered(regions.places, world), gathered(regions.whole, world))
    return matching_losses(read, regions, TEMPERATURES, _alike(said).to(regions.whole.device))


def _alike(captions: Sequence[str]) -> Bool[Tensor, "batch batch"]:
    """Which captions say the same, so that either fits both pictures."""
    words = [tuple(sorted(words_of(caption))) for caption in captions]
    return torch.tensor([[one == other for other in words] for one in words])
