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
        self,
        read: Condition,
        captions: Sequence[str],
        pictures: Sequence[int],
        seen: Seen,
        world: World,
    ) -> dict[str, Float[Tensor, ""]]:
        """How badly captions fit their pictures, and find them among those of the joint batch.

        Args:
            read: what `read` gave for the captions.
            captions: of the pictures.
            pictures: their indices in the domain; one may be there again, under another caption.
            seen: the pictures.
            world: whose joint batch it is.
        """
        regions = self.regions(seen.tokens, seen.deepest)
        return _matched(read, captions, pictures, regions, world)

    def judged(
        self,
        read: Condition,
        captions: Sequence[str],
        pictures: Sequence[int],
        seen: Seen,
        world: World,
    ) -> dict[str, Float[Tensor, ""]]:
        """The same of paintings, from which nothing about reading is learnt.

        Else the reader would learn to find in paintings what is not there.
        """
        fixed = {name: weight.detach() for name, weight in self.regions.named_parameters()}
        regions = functional_call(self.regions, fixed, (seen.tokens, seen.deepest))
        still = Condition(read.sentence.detach(), read.words.detach(), read.present)
        return _matched(still, captions, pictures, regions, world)

    @torch.no_grad()
    def ranks(self, captions: Sequence[str], seen: Seen) -> Float[Tensor, "captions pictures"]:
        """How well captions fit whole pictures, for finding the one of the other."""
        whole = self.regions(seen.tokens, seen.deepest)
        return picture_likeness(self.read(captions), whole)


def _matched(
    read: Condition,
    captions: Sequence[str],
    pictures: Sequence[int],
    regions: Regions,
    world: World,
) -> dict[str, Float[Tensor, ""]]:
    said = list(zip(captions, pictures, strict=True))
    if world.size > 1:
        everyone: list[list[tuple[str, int]]] = [[] for _ in range(world.size)]
        dist.all_gather_object(everyone, said)
        said = [each for theirs in everyone for each in theirs]
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


def _alike(said: Sequence[tuple[str, int]]) -> Bool[Tensor, "batch batch"]:
    """Which captions say the same or are of one picture, so that either fits both pictures.

    Xu et al., "AttnGAN", leave out pictures of one class likewise.
    """
    words = [tuple(sorted(words_of(caption))) for caption, _ in said]
    pictures = torch.tensor([picture for _, picture in said])
    same_words = torch.tensor([[one == other for other in words] for one in words])
    return same_words | (pictures[:, None] == pictures)
