"""From an image set to pairs: its sound pictures, paired within each class."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

from splice.errors import InputError, SpliceError
from splice.pictures.pairs.folders import SPLITS, read_sets
from splice.pictures.pairs.pair import Draft
from splice.pictures.pairs.pairing import Embed, nearest_pairing, random_pairing
from splice.pictures.picture_file import check_picture

Sets = Mapping[str, tuple[list[Path], list[Path]]]
"""Structures and appearances by class; a class has no name where there is one alone."""


class PictureChecks:
    """What is wrong with pictures, each looked at once."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._known: dict[Path, str | None] = {}

    def problem(self, path: Path) -> str | None:
        """A sentence on what is wrong with a picture; None where nothing is."""
        if path not in self._known:
            try:
                check_picture(path, max_pixels=self._max_pixels)
                self._known[path] = None
            except SpliceError as error:
                self._known[path] = str(error)
        return self._known[path]


def find_sets(source: Path, split: str | None, appearances: str | Path | None) -> Sets:
    """Structures and appearances by class; of two folders, all classes of each together.

    Raises:
        InputError: a folder without pictures, or without the split.
    """
    sets = _classes(source, split)
    if appearances is None:
        return {name: (found, found) for name, found in sets.items()}
    other = Path(os.path.abspath(appearances))  # noqa: PTH100 - links must stay
    has_splits = any((other / name).is_dir() for name in SPLITS)
    others = _classes(other, split if has_splits else None)
    return {"": (list(chain(*sets.values())), list(chain(*others.values())))}


def _classes(folder: Path, split: str | None) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder of pictures.")
    sets = read_sets(folder, split)
    if not sets:
        raise InputError(
            f"{folder} holds no pairs: give a folder with A/ and B/, a folder of such folders, "
            "a folder of pictures, or a manifest (.csv, .jsonl)."
        )
    return sets


def draw_pairs(
    sets: Sets,
    pictures: PictureChecks,
    pairing: str | None,
    count: int | None,
    seed: int,
    embed: Embed | None,
) -> tuple[list[Draft], list[str]]:
    """Pair the sound pictures of each class.

    Without a count each picture is structure once; with one, classes give a pair in turn.

    Returns:
        The pairs, and what is wrong with the other pictures.

    Raises:
        InputError: no pairing chosen, or more pairs wanted than there are.
    """
    if pairing is None:
        raise InputError(
            "a set of pictures does not say which go together: choose the pairing, random or "
            "nearest."
        )
    problems: dict[str, None] = {}
    drawn: list[Iterator[list[Draft]]] = []
    for label, both in sets.items():
        sound: list[list[Path]] = []
        for paths in both:
            wrong = {path: pictures.problem(path) for path in paths}
            problems.update(dict.fromkeys(text for text in wrong.values() if text))
            sound.append([path for path in paths if wrong[path] is None])
        if sound[0] and sound[1]:
            rounds = _rounds(sound[0], sound[1], pairing, seed, embed)
            drawn.append(_drafts(label, rounds))
    if count is None:
        return [draft for rounds in drawn for draft in next(rounds, [])], list(problems)
    drafts = list(islice(_in_turn(chain.from_iterable(rounds) for rounds in drawn), count))
    if len(drafts) < count and not problems:
        raise InputError(f"count is {count}, but only {len(drafts)} different pairs can be made.")
    return drafts, list(problems)


def _rounds(
    left: Sequence[Path], right: Sequence[Path], pairing: str, seed: int, embed: Embed | None
) -> Iterator[list[tuple[Path, Path]]]:
    if pairing == "random":
        return random_pairing(left, right, seed)
    if embed is None:
        raise InputError("pairing by nearest neighbours needs a function that embeds pictures.")
    return nearest_pairing(left, right, seed, embed)


def _drafts(label: str, rounds: Iterable[list[tuple[Path, Path]]]) -> Iterator[list[Draft]]:
    start = f"{label}-" if label else ""
    for pairs in rounds:
        yield [
            Draft(
                f"{structure} with {appearance}",
                structure,
                appearance,
                f"{start}{structure.stem}--{appearance.stem}",
            )
            for structure, appearance in pairs
        ]


def _in_turn(sources: Iterable[Iterable[Draft]]) -> Iterator[Draft]:
    for turn in zip_longest(*sources):
        yield from (draft for draft in turn if draft is not None)
