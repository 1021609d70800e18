"""A blind preference sheet: two systems' pictures side by side, unlabelled, in random order.

The two-alternative forced choice of the paper (Tumanyan et al., CVPR 2022, section 4.2). Nothing on the
page says which picture is whose: both are encoded alike and lie in the page itself, and a choice is
saved as a token that `splice.studies.report.tally` can read back.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splice import __version__
from splice.analysis.scores.evaluation import find_outputs
from splice.errors import InputError
from splice.pictures.pairs import Pair
from splice.studies.report.page import write_page
from splice.studies.report.pictures import Store, small_copy
from splice.studies.report.runs import RunEntry

QUESTION = (
    "Which image best shows the shape/structure of image A combined with the appearance/style of "
    "image B?"
)
"""The question of the paper's user study."""

FORMAT = "splice preference answers 1"


@dataclass(frozen=True)
class Question:
    """One pair, with the pictures of both systems in the order of the page."""

    pair: Pair
    systems: tuple[str, str]
    pictures: tuple[Path, Path]


def token(sheet: str, pair: str, system: str) -> str:
    """What stands for a system's picture of a pair in a sheet and its answers."""
    return hashlib.sha256(f"{sheet}\0{pair}\0{system}".encode()).hexdigest()[:20]


def draw_questions(
    pairs: Sequence[Pair],
    systems: Mapping[str, Path],
    *,
    seed: int = 0,
    count: int | None = None,
) -> list[Question]:
    """Pairs in random order, each with its two pictures in random order.

    Each system is on the left equally often (once more, for an odd number), so that a habit of
    choosing one side favours nobody.

    Args:
        pairs: to draw from; those for which not both systems have a picture are left out.
        systems: two folders of pictures by their systems' names.
        seed: of the order; the same seed gives the same sheet.
        count: of pairs; by default all.

    Raises:
        InputError: a missing folder, no pair with pictures of both systems, or fewer than `count`.
    """
    if len(systems) != 2:
        raise InputError("a preference sheet compares two systems with different names.")
    names = [pair.name for pair in pairs]
    first, second = systems
    found = {system: find_outputs(folder, names) for system, folder in systems.items()}
    both = [pair for pair in pairs if pair.name in found[first] and pair.name in found[second]]
    if not both:
        raise InputError(
            f"there is no pair of which both {systems[first]} and {systems[second]} hold a picture "
            f"(of {len(pairs)} pairs: {len(found[first])} and {len(found[second])})."
        )
    if count is not None and count > len(both):
        raise InputError(f"--count is {count}, but there are {len(both)} pairs with both pictures.")
    generator = random.Random(seed)
    chosen = generator.sample(both, count or len(both))
    lead = generator.random() < 0.5
    swapped = [(index % 2 == 0) == lead for index in range(len(chosen))]
    generator.shuffle(swapped)
    questions = []
    for pair, swap in zip(chosen, swapped, strict=True):
        order = (second, first) if swap else (first, second)
        pictures = found[order[0]][pair.name], found[order[1]][pair.name]
        questions.append(Question(pair, order, pictures))
    return questions


def pairs_of_runs(entries: Sequence[RunEntry]) -> list[Pair]:
    """The pairs of finished runs whose input pictures are still where they were."""
    found = []
    for entry in entries:
        structure, appearance = entry.input("structure"), entry.input("appearance")
        if structure is not None and appearance is not None:
            found.append(Pair(entry.name, structure, appearance))
    return found


def write_sheet(
    path: Path,
    questions: Sequence[Question],
    *,
    title: str = "Which image is better?",
    longest: int = 640,
) -> None:
    """Write the sheet as one HTML page with its pictures in it.

    Args:
        path: of the page.
        questions: from `draw_questions`.
        title: of the page; it should not tell what is compared.
        longest: pixels of the longer side of the pictures, at most.

    Raises:
        InputError: a picture cannot be read, or the page cannot be written there.
        RunError: jinja2 is not installed, or writing failed.
    """
    store = Store()
    sheet = _name_of(questions)
    shown = []
    for question in questions:
        structure = _copy(question.pair.structure, longest)
        appearance = _copy(question.pair.appearance, longest)
        # At one size: by their sizes the two could be told apart.
        sides = [_copy(picture, longest, structure.size) for picture in question.pictures]
        name = question.pair.name
        tokens = [token(sheet, name, system) for system in question.systems]
        shown.append(
            {
                "pair": name,
                "structure": store.add(structure, "").address,
                "appearance": store.add(appearance, "").address,
                "sides": [store.add(side, "").address for side in sides],
                "tokens": tokens,
                "ratio": round(structure.width / structure.height, 4),
                "ratio_b": round(appearance.width / appearance.height, 4),
            }
        )
    data: dict[str, Any] = {
        "format": FORMAT,
        "splice": __version__,
        "sheet": sheet,
        "question": QUESTION,
        # In the order of the alphabet, which tells nothing.
        "systems": sorted(questions[0].systems),
        "questions": shown,
    }
    write_page(path, "sheet", title=title, question=QUESTION, data=data, version=__version__)


def _copy(path: Path, longest: int, size: tuple[int, int] | None = None) -> Any:
    picture = small_copy(path, longest, size)
    if picture is None:
        raise InputError(f"{path} cannot be read as a picture.")
    return picture


def _name_of(questions: Sequence[Question]) -> str:
    """A name that differs where pairs, pictures or their order do."""
    digest = hashlib.sha256()
    for question in questions:
        for part in (question.pair.name, *question.systems):
            digest.update(f"{part}\0".encode())
        for picture in question.pictures:
            digest.update(hashlib.sha256(picture.read_bytes()).digest())
    return digest.hexdigest()[:20]
