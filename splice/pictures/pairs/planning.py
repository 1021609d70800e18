"""From any source of pairs to a checked plan: every picture and name, before any work begins."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from splice.errors import InputError
from splice.pictures.pairs.drawing import PictureChecks, draw_pairs, find_sets
from splice.pictures.pairs.folders import (
    is_pair_folder,
    list_folders,
    read_pair_folder,
    read_pair_folders,
)
from splice.pictures.pairs.manifest import read_manifest
from splice.pictures.pairs.pair import Draft, Pair, folded, name_after, name_problem, safe_name
from splice.pictures.pairs.pairing import Embed
from splice.pictures.picture_file import MAX_PIXELS, check_picture

DIRECTIONS = ("AtoB", "BtoA", "both")
PAIRINGS = ("random", "nearest")
_SHOWN = 10


@dataclass(frozen=True)
class Plan:
    """Pairs that are ready to run, and what was wrong with those that are not.

    Attributes:
        pairs: checked, names unique.
        problems: a sentence for each pair or picture that was left out; empty unless bad ones
            were to be skipped.
    """

    pairs: tuple[Pair, ...]
    problems: tuple[str, ...]


def pair_of_files(
    structure: str | Path, appearance: str | Path, *, max_pixels: int = MAX_PIXELS
) -> Pair:
    """A pair of two picture files, named `<structure>--<appearance>`.

    Raises:
        InputError: one of them is not a readable picture.
    """
    for path in (structure, appearance):
        check_picture(path, max_pixels=max_pixels)
    structure, appearance = Path(structure), Path(appearance)
    return Pair(name_after(structure, appearance), structure, appearance)


def plan_pairs(
    source: str | Path,
    *,
    direction: str = "AtoB",
    pairing: str | None = None,
    appearances: str | Path | None = None,
    split: str | None = None,
    count: int | None = None,
    seed: int = 0,
    embed: Embed | None = None,
    allow_outside: bool = False,
    skip_bad: bool = False,
    check_settings: Callable[[Mapping[str, Any]], object] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Plan:
    """Find the pairs of a source and check all of them: pictures, names, settings.

    Args:
        source: a manifest (`.csv`, `.jsonl`); a pair folder (`A/`, `B/`); a folder of pair
            folders; or an image set: a folder of pictures, of classes, or of splits as AFHQ.
        direction: `AtoB` (structure from A, appearance from B), `BtoA`, or `both`; pairs of
            BtoA are named after those of AtoB, with `-BtoA` behind.
        pairing: for image sets, `random` or `nearest`; classes are not mixed.
        appearances: for image sets, another set that gives the appearances, all classes of both
            taken together.
        split: for image sets with splits, `train`, `val` or `test`.
        count: of the pairs found, the first so many; of an image set, draw so many. By default
            all; of an image set, each picture once as structure.
        seed: of the pairing.
        embed: for `nearest`, pictures to embeddings [pictures, width].
        allow_outside: let a manifest name pictures outside of its folder.
        skip_bad: leave out what is wrong, and tell it in the plan.
        check_settings: is called with each pair's own settings; raises InputError on wrong ones.
        max_pixels: the most pixels of a picture.

    Returns:
        The plan; the same arguments and files give the same plan.

    Raises:
        InputError: the source or an option is wrong, no pair is left, or, unless `skip_bad`,
            anything is wrong with any pair (the first ten problems, and how many there are).
    """
    source = Path(os.path.abspath(source))  # noqa: PTH100 - links must stay
    _check_options(direction, pairing, count, embed)
    pictures = PictureChecks(max_pixels)
    kind = _kind(source)
    if kind != "set":
        unused = {"pairing": pairing, "appearances": appearances, "split": split}
        for option, value in unused.items():
            if value is not None:
                raise InputError(f"{option} is for image sets; {source} states its pairs itself.")
    if kind == "manifest":
        drafts, problems = read_manifest(source, allow_outside=allow_outside)
    elif kind == "pair folder":
        drafts, problems = read_pair_folder(source)
    elif kind == "pair folders":
        drafts, problems = read_pair_folders(source)
    else:
        sets = find_sets(source, split, appearances)
        drafts, problems = draw_pairs(sets, pictures, pairing, count, seed, embed)
    if count is not None:
        drafts = drafts[:count]
    pairs = _checked(_directed(_named(drafts, problems), direction), pictures, check_settings)
    good = []
    for item in pairs:
        if isinstance(item, Pair):
            good.append(item)
        else:
            problems.append(item)
    if problems and not skip_bad:
        raise InputError(_together(source, problems))
    if not good:
        raise InputError(
            _together(source, problems) if problems else f"{source} holds no pair of pictures."
        )
    return Plan(tuple(good), tuple(problems))


def _check_options(direction: str, pairing: str | None, count: int | None, embed: object) -> None:
    if direction not in DIRECTIONS:
        raise InputError(f"direction is {direction!r}; give one of {', '.join(DIRECTIONS)}.")
    if pairing is not None and pairing not in PAIRINGS:
        raise InputError(f"pairing is {pairing!r}; give one of {', '.join(PAIRINGS)}.")
    if pairing == "nearest" and embed is None:
        raise InputError("pairing by nearest neighbours needs a function that embeds pictures.")
    if count is not None and count < 1:
        raise InputError(f"count is {count}; give at least 1.")


def _kind(source: Path) -> str:
    if not source.exists():
        raise InputError(f"{source} does not exist; give a manifest or a folder of pictures.")
    if not source.is_dir():
        return "manifest"
    if is_pair_folder(source):
        return "pair folder"
    if any(is_pair_folder(inner) for inner in list_folders(source)):
        return "pair folders"
    return "set"


def _named(drafts: Iterable[Draft], problems: list[str]) -> list[Draft]:
    """Refuse given names that are unsafe or clash; name the rest, numbered where they share."""
    taken: dict[str, str] = {}
    sound = []
    for draft in drafts:
        if draft.name is not None:
            wrong = name_problem(draft.name)
            if wrong is None and folded(draft.name) in taken:
                wrong = f"the name {draft.name!r} is also that of {taken[folded(draft.name)]}"
            if wrong is not None:
                problems.append(f"{draft.where}: {wrong}.")
                continue
            taken[folded(draft.name)] = draft.where
        sound.append(draft)
    # Given names come first, so that none yields to one that is made up.
    named = []
    numbers: dict[str, int] = {}
    for draft in sound:
        if draft.name is None:
            name = stem = safe_name(draft.stem)
            while folded(name) in taken:
                numbers[stem] = numbers.get(stem, 1) + 1
                name = f"{stem}-{numbers[stem]}"
            taken[folded(name)] = draft.where
            draft = replace(draft, name=name)
        named.append(draft)
    return named


def _directed(drafts: Iterable[Draft], direction: str) -> Iterator[Draft]:
    for draft in drafts:
        if direction != "BtoA":
            yield draft
        if direction != "AtoB":
            yield replace(
                draft,
                structure=draft.appearance,
                appearance=draft.structure,
                structure_mask=draft.appearance_mask,
                appearance_mask=draft.structure_mask,
                name=f"{draft.name}-BtoA",
            )


def _checked(
    drafts: Iterable[Draft],
    pictures: PictureChecks,
    check_settings: Callable[[Mapping[str, Any]], object] | None,
) -> Iterator[Pair | str]:
    names: set[str] = set()
    for draft in drafts:
        assert draft.name is not None
        if folded(draft.name) in names:
            yield f"{draft.where}: the name {draft.name!r} is that of another pair as well."
            continue
        names.add(folded(draft.name))
        masks = draft.structure_mask, draft.appearance_mask
        files = (file for file in (draft.structure, draft.appearance, *masks) if file is not None)
        wrong = next(filter(None, map(pictures.problem, files)), None)
        if wrong is None and check_settings is not None and draft.settings:
            try:
                check_settings(draft.settings)
            except InputError as error:
                wrong = str(error)
        if wrong is not None:
            yield f"{draft.where}: {wrong}"
        else:
            settings = dict(draft.settings)
            yield Pair(draft.name, draft.structure, draft.appearance, settings, *masks)


def _together(source: Path, problems: Sequence[str]) -> str:
    number = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
    lines = [f"{number} in {source}; correct them, or skip what is bad:"]
    lines += [f"  {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"  ... and {len(problems) - _SHOWN} more.")
    return "\n".join(lines)
