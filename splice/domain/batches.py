"""What is drawn for one step: views of pairs, captions, and second conditions for the contrast.

Every pair of every step has a generator of its own, from the seed, the step and its place in the joint
batch. So a run that is resumed draws what it would have drawn, and so do several processes together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splice.domain.disguise import disguised
from splice.domain.neighbours import Neighbours
from splice.domain.store import PictureStore

PAINTING, READING, USUAL = range(3)
"""What is drawn for, so that no two of them draw alike."""


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs, as they are learnt from.

    Attributes:
        structure: views of structure images, perhaps in other colours.
        appearance: views of appearance images.
        captions: of the appearance images, one each; empty where there are none.
        pictures: indices of the appearance images.
        others: views of pictures that give a second condition: the appearance images again where
            `same` is true, other pictures else.
        other_captions: of those, other ones where there are several.
        same: whether the second condition is of the same picture.
        disguised: the views of appearance images as `splice.domain.disguise` changes them.
    """

    structure: Float[Tensor, "batch 3 side side"]
    appearance: Float[Tensor, "batch 3 side side"]
    captions: tuple[str, ...]
    pictures: tuple[int, ...]
    others: Float[Tensor, "batch 3 side side"]
    other_captions: tuple[str, ...]
    same: Bool[Tensor, " batch"]
    disguised: Float[Tensor, "batch 3 side side"]


def generator_of(seed: int, use: int, step: int, place: int) -> torch.Generator:
    """The generator of one pair of one step."""
    state = np.random.SeedSequence([seed, use, step, place]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 32 | int(state[1]))


def draw_pairs(
    store: PictureStore,
    neighbours: Neighbours,
    seed: int,
    step: int,
    places: Sequence[int],
    use: int = PAINTING,
) -> Pairs:
    """The pairs at some places of the joint batch of a step.

    Args:
        store: of the pictures.
        neighbours: who is paired with whom.
        seed: of the run.
        step: from 0.
        places: in the joint batch.
        use: what for.
    """
    rows = []
    for place in places:
        random = generator_of(seed, use, step, place)
        one, other = neighbours.draw(random)
        views = store.view(one, random, other_colours=True), store.view(other, random)
        same = bool(torch.rand((), generator=random) < 0.5)
        second = other if same else _another(neighbours, other, random)
        captions = _two(store.pictures[other].captions, random)
        again = captions[1] if same else _two(store.pictures[second].captions, random)[0]
        views = (*views, store.view(second, random), disguised(views[1], random))
        rows.append((*views, captions[0], again, other, same))
    structure, appearance, others, lessons, said, said_again, told, same = zip(*rows, strict=True)
    captioned = all(text is not None for text in (*said, *said_again))
    return Pairs(
        torch.stack(structure),
        torch.stack(appearance),
        said if captioned else (),
        told,
        torch.stack(others),
        said_again if captioned else (),
        torch.tensor(same),
        torch.stack(lessons),
    )


def draw_captioned(
    store: PictureStore, kept: Sequence[int], seed: int, step: int, places: Sequence[int]
) -> tuple[list[int], list[str]]:
    """Pictures by their indices, and a caption of each, to learn reading from.

    Args:
        store: of the pictures.
        kept: indices of pictures that are learnt from.
        seed: of the run.
        step: from 0.
        places: in the joint batch.
    """
    indices, captions = [], []
    for place in places:
        random = generator_of(seed, READING, step, place)
        index = kept[int(torch.randint(len(kept), (), generator=random))]
        indices.append(index)
        captions.append(_two(store.pictures[index].captions, random)[0])
    return indices, captions


def _another(neighbours: Neighbours, index: int, random: torch.Generator) -> int:
    """A picture that is learnt from and is not this one."""
    others = neighbours.kept[neighbours.kept != index]
    return int(others[torch.randint(len(others), (), generator=random)])


def _two(captions: Sequence[str], random: torch.Generator) -> tuple[str | None, str | None]:
    """Two captions, different where there are several; None where there is none."""
    if not captions:
        return None, None
    order: list[int] = torch.randperm(len(captions), generator=random).tolist()
    return captions[order[0]], captions[order[1 % len(order)]]
