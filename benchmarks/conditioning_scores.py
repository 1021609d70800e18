"""How well a model of a domain paints pictures that it has not learnt from, in numbers."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from splice.analysis.scores.metrics import Judge
from splice.backbones.frozen_vit import FrozenViT
from splice.domain.condition import Condition
from splice.domain.objective import see
from splice.domain.painting import Painter
from splice.domain.pictures import Domain, DomainPicture, find_domain, held_out, summary
from splice.domain.scene_scores import count_scenes
from splice.domain.scenes import Scene
from splice.domain.text import words_of
from splice.errors import InputError
from splice.pictures.images import read_image
from splice.running.outputs import RECORD

SCORES = ("self_sim", "dino_i", "texture", "colour")
"""Of the scores of `splice evaluate`, those that are compared."""

CAPTIONS = 10
"""Among which a painting's own is to be found."""


@dataclass(frozen=True)
class HeldOutPair:
    """A pair of pictures that no model has learnt from, by their places in the domain's part.

    Attributes:
        structure: place of the structure image.
        appearance: place of the appearance image.
        distractors: places of pictures whose captions say something else than the appearance's.
    """

    structure: int
    appearance: int
    distractors: tuple[int, ...] = ()


def draw_held_out(pictures: Sequence[DomainPicture], count: int, seed: int) -> list[HeldOutPair]:
    """Pairs at random, each structure image once as long as there are enough.

    Args:
        pictures: that no model has learnt from, at least two.
        count: of pairs.
        seed: of the drawing.

    Raises:
        InputError: fewer than two pictures.
    """
    if len(pictures) < 2:
        raise InputError(
            "held-out pairs need two pictures that are not learnt from; hold more out."
        )
    random = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pictures), generator=random).tolist()
    said = [_said(picture) for picture in pictures]
    pairs = []
    for number in range(count):
        structure = order[number % len(order)]
        others = [place for place in order if place != structure]
        appearance = others[int(torch.randint(len(others), (), generator=random))]
        apart = [place for place in order if said[place] != said[appearance]]
        chosen = torch.randperm(len(apart), generator=random)[: CAPTIONS - 1].tolist()
        distractors = tuple(apart[place] for place in chosen) if said[appearance] else ()
        pairs.append(HeldOutPair(structure, appearance, distractors))
    return pairs


def held_out_part(folder: Path, domain: Domain, count: int, *, captioned: bool) -> Domain:
    """The pictures of a domain that are not learnt from: another part of it, or those held out.

    Args:
        folder: of the domain.
        domain: the part that is learnt from.
        count: of pictures of that part that were held out.
        captioned: whether pictures need captions.
    """
    for split in ("test", "val"):
        if split != domain.split and (folder / split).is_dir():
            return find_domain(folder, split=split, captioned=captioned)
    _, kept = held_out(domain, count)
    return Domain(domain.root, None, tuple(domain.pictures[index] for index in kept))


def recorded_part(folder: Path, model: Path, *, captioned: bool) -> Domain | None:
    """The pictures that a model has not learnt from, as the record beside it says; None without one.

    Those held out are taken where there are some, else another part of the domain.

    Args:
        folder: of the domain.
        model: folder of its training, or its file.
        captioned: whether pictures need captions.

    Raises:
        InputError: the record is damaged, or the folder holds other pictures than it tells of.
    """
    file = (model if model.is_dir() else model.parent) / RECORD
    if not file.is_file():
        return None
    try:
        said = json.loads(file.read_text(encoding="utf-8"))["domain"]
        split, counts, kept = said["split"], said["by_folder"], said["held_out"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} is no record of a domain's training; give the model in the folder where "
            "'splice train' wrote it, or remove the file."
        ) from error
    domain = find_domain(folder, split=split, captioned=captioned)
    by_name = {picture.name: picture for picture in domain.pictures}
    fits = domain.split == split and summary(domain) == counts
    if not fits or not by_name.keys() >= set(kept):
        raise InputError(
            f"{folder} does not hold the {sum(counts.values())} pictures that {file} tells of; give "
            "the folder that the model was trained with, as it was."
        )
    if not kept:
        return held_out_part(folder, domain, 0, captioned=captioned)
    return Domain(domain.root, split, tuple(by_name[name] for name in kept))


def read_pair(
    domain: Domain, pair: HeldOutPair, short_side: int | None = None
) -> tuple[Float[Tensor, "3 height width"], Float[Tensor, "3 rows columns"]]:
    """Structure and appearance image of a pair, in [0, 1]; at their own size, or at a short side."""
    one, other = (
        read_image(domain.pictures[place].file, short_side=short_side)
        for place in (pair.structure, pair.appearance)
    )
    return one, other


def score_model(
    painter: Painter,
    vit: FrozenViT,
    domain: Domain,
    pairs: Sequence[HeldOutPair],
    scenes: Mapping[str, Scene],
) -> tuple[dict[str, float], list[Float[Tensor, "3 height width"]]]:
    """The means of the scores over pairs, and the paintings.

    Beside the scores: `seconds` a picture (the median, reading and looking left out), for captions
    `r_precision` (how often the own caption is the first of ten), and for a domain of scenes the
    shares `asked_colour`, `asked_pattern` and the `overlap` of places.

    Args:
        painter: to score.
        vit: that judges.
        domain: of which the pairs are.
        pairs: to paint.
        scenes: what the pictures show, by name, where it is known.
    """
    paintings: list[Tensor] = []
    sums, seconds, found = dict.fromkeys(SCORES, 0.0), [], []
    for pair in pairs:
        structure, appearance = read_pair(domain, pair, painter.model.settings.size)
        condition = condition_of(painter, domain.pictures[pair.appearance])
        begun = time.perf_counter()
        painted = painter.paint(structure, condition)
        seconds.append(time.perf_counter() - begun)
        paintings.append(painted)
        scores = vars(Judge(vit, structure, appearance)(painted))
        sums = {name: total + scores[name] for name, total in sums.items()}
        if pair.distractors and painter.model.reader is not None:
            found.append(_is_found(painter, vit, painted, domain, pair))
    result = {name: total / len(pairs) for name, total in sums.items()}
    result["seconds"] = sorted(seconds)[len(seconds) // 2]
    if found:
        result["r_precision"] = sum(found) / len(found)
    shown = [
        [scenes.get(domain.pictures[place].name) for place in (pair.structure, pair.appearance)]
        for pair in pairs
    ]
    if all(scene is not None for both in shown for scene in both):
        counted = count_scenes(
            paintings,
            [both[0] for both in shown if both[0]],
            [both[1] for both in shown if both[1]],
        )
        result["asked_colour"], result["asked_pattern"] = counted.colour, counted.pattern
        result["overlap"] = counted.overlap
    return result, paintings


def condition_of(painter: Painter, picture: DomainPicture) -> Condition:
    """What a model is told of an appearance picture: itself, or the first of its captions."""
    if painter.model.reader is None:
        return painter.look(picture.file)
    with torch.no_grad():
        return painter.model.read(picture.captions[:1])


def _is_found(
    painter: Painter, vit: FrozenViT, painted: Tensor, domain: Domain, pair: HeldOutPair
) -> bool:
    """Whether the own caption fits a painting better than those of the distractors."""
    reader = painter.model.reader
    assert reader is not None
    places = (pair.appearance, *pair.distractors)
    captions = [domain.pictures[place].captions[0] for place in places]
    with torch.no_grad():
        seen = see(painted[None].to(painter.device), vit, [vit.blocks], painter.model.settings.seen)
        return int(reader.ranks(captions, seen)[:, 0].argmax()) == 0


def _said(picture: DomainPicture) -> tuple[str, ...]:
    return tuple(sorted(words_of(picture.captions[0]))) if picture.captions else ()
