"""What a domain's training gives: a network that paints, and how it is told what to paint.

A condition is made of pictures (`cls`, `parts`: what the frozen transformer sees in them, standardised
over the domain) or of captions (`text`: what the reader makes of them).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.domain.condition import Condition
from splice.domain.conditions import Look, Standard, find_standard
from splice.domain.conditions import see as condition_seen
from splice.domain.generator import DomainGenerator, channels_for_budget
from splice.domain.neighbours import Neighbours
from splice.domain.reading import Reader
from splice.domain.settings import DomainSettings
from splice.domain.store import PictureStore
from splice.domain.text import Vocabulary, words_of
from splice.errors import InputError

STANDARD_OVER = 512
"""Pictures, at most, over which conditions are standardised."""


@dataclass(frozen=True)
class DomainModel:
    """A network of a domain, and how it is told what to paint.

    Attributes:
        settings: that it was made with.
        network: that paints.
        standard: of conditions that are made of pictures; None where captions are the condition.
        reader: of captions; None where pictures are the condition.
        weights: sha256 of the frozen transformer's weights; None for one made by hand.
        step: steps of painting that it has learnt in.
    """

    settings: DomainSettings
    network: DomainGenerator
    standard: Standard | None
    reader: Reader | None
    weights: str | None = None
    step: int = 0

    def condition_of(
        self, pictures: Float[Tensor, "batch 3 height width"], vit: FrozenViT
    ) -> Condition:
        """The conditions that pictures in [0, 1] are.

        Args:
            pictures: appearance images.
            vit: the frozen transformer that the model was trained with.

        Raises:
            InputError: the model is told by captions.
        """
        if self.standard is None:
            raise InputError(
                "this model is told what to paint by captions; give --text instead of a picture."
            )
        return self.standard.applied(condition_seen(vit, pictures, look_of(self.settings)))

    def read(self, captions: Sequence[str]) -> Condition:
        """The conditions that captions are.

        Raises:
            InputError: the model is told by pictures, or a caption has no word that it knows.
        """
        if self.reader is None:
            raise InputError(
                f"this model was trained with the condition {self.settings.condition} and reads no "
                "captions; give an appearance picture instead of --text."
            )
        for caption in captions:
            vocabulary = self.reader.vocabulary
            if len(vocabulary.unknown(caption)) == len(set(words_of(caption))):
                raise InputError(
                    f"the model knows no word of the caption {caption!r}; "
                    f"it knows {', '.join(vocabulary.words[:12])} and so on."
                )
        return self.reader.read(captions)


def look_of(settings: DomainSettings) -> Look:
    """How the transformer looks at appearance images."""
    parts = settings.parts if settings.condition == "parts" else 0
    return Look(parts, settings.terms.cls_depths, settings.seen, settings.seed)


def new_model(
    settings: DomainSettings,
    vit: FrozenViT,
    store: PictureStore,
    neighbours: Neighbours,
    device: torch.device,
    standard: Standard | None = None,
) -> DomainModel:
    """A model with first weights, which are the same on every device.

    Args:
        settings: of the run.
        vit: the frozen transformer, on the device.
        store: pictures of the domain.
        neighbours: those that are learnt from.
        device: to put the networks on.
        standard: of conditions made of pictures, where it is known already.

    Raises:
        InputError: captions without words, or fewer parameters than any network has.
    """
    random = torch.Generator().manual_seed(settings.seed)
    reader = None
    if settings.condition == "text":
        said = [text for each in neighbours.kept.tolist() for text in store.pictures[each].captions]
        vocabulary = Vocabulary.of_captions(said)
        reader = Reader(vocabulary, vit.width, settings.text.width, generator=random).to(device)
        width = settings.text.width
    else:
        standard = standard or _standard(settings, vit, store, neighbours, device)
        width = look_of(settings).width(vit)
    network = new_network(settings, width, random).to(device)
    sha256 = None if vit.provenance is None else vit.provenance.sha256
    return DomainModel(settings, network, standard, reader, sha256)


def new_network(settings: DomainSettings, width: int, random: torch.Generator) -> DomainGenerator:
    """The network of these settings, for conditions of a width, with random weights.

    Raises:
        InputError: not even the narrowest network has so few parameters.
    """
    try:
        channels = channels_for_budget(
            settings.layer, width, settings.parameters, rank=settings.rank
        )
    except InputError as error:
        raise InputError(
            f"--parameters {settings.parameters} or --rank {settings.rank}: {error}"
        ) from None
    return DomainGenerator(
        settings.layer, width, channels=channels, rank=settings.rank, generator=random
    )


def _standard(
    settings: DomainSettings,
    vit: FrozenViT,
    store: PictureStore,
    neighbours: Neighbours,
    device: torch.device,
) -> Standard:
    kept = neighbours.kept.tolist()
    count = min(len(kept), STANDARD_OVER)
    look = look_of(settings)
    some = [kept[index * len(kept) // count] for index in range(count)]
    seen = (condition_seen(vit, store.middle(index)[None].to(device), look) for index in some)
    return find_standard([each.to("cpu") for each in seen])
