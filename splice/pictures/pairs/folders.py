"""Folders: pair folders in the authors' layout, folders of them, and sets of pictures."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from splice.errors import InputError
from splice.pictures.pairs.pair import Draft

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
    | {".avif", ".heic", ".heif", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm"}
)

SPLITS = ("val", "test", "train")
"""Parts of a data set, the one that is taken where none is asked for first."""


MASK = "mask"
"""What the file of a mask is called in a pair folder, before its suffix."""


def is_pair_folder(folder: Path) -> bool:
    """Whether a folder has the authors' layout, or half of it: `A/` or `B/`."""
    return (folder / "A").is_dir() or (folder / "B").is_dir()


def read_pair_folder(folder: Path) -> tuple[list[Draft], list[str]]:
    """A pair folder: one picture in `A/` (structure), one in `B/` (appearance).

    Beside each may lie its mask, `mask.png` or of another kind of picture.

    Returns:
        The pair, to be called after the folder; or the problems in its place.
    """
    pictures: list[Path] = []
    masks: list[Path | None] = []
    problems: list[str] = []
    for part in ("A", "B"):
        if not (folder / part).is_dir():
            problems.append(f"{folder}: there is no folder {part} beside the other.")
            continue
        listed = list_pictures(folder / part)
        found = [path for path in listed if path.stem.lower() != MASK]
        beside = [path for path in listed if path.stem.lower() == MASK]
        if len(found) != 1:
            number = len(found) or "no"
            besides = " besides its mask" if beside else ""
            problems.append(f"{folder / part}: holds {number} pictures{besides}; it must hold one.")
        elif len(beside) > 1:
            problems.append(f"{folder / part}: holds {len(beside)} masks; it may hold one.")
        pictures += found[:1]
        masks.append(beside[0] if beside else None)
    if problems:
        return [], problems
    (structure, appearance), name = pictures, folder.resolve().name
    draft = Draft(str(folder), structure, appearance, name)
    return [replace(draft, structure_mask=masks[0], appearance_mask=masks[1])], []


def read_pair_folders(folder: Path) -> tuple[list[Draft], list[str]]:
    """A folder of pair folders, in the order of their names; other folders are passed over."""
    drafts, problems = [], []
    for inner in list_folders(folder):
        if is_pair_folder(inner):
            found, wrong = read_pair_folder(inner)
            drafts += found
            problems += wrong
    return drafts, problems


def read_sets(folder: Path, split: str | None = None) -> dict[str, list[Path]]:
    """The pictures of an image set, by class; one class without a name for a plain folder.

    Args:
        folder: a folder of pictures; or of class folders (`cat/`, `dog/`); or of splits
            (`train/`, `val/`, `test/`) of either, as AFHQ.
        split: which split; by default the first of val, test, train that exists.

    Returns:
        Paths sorted by name, by class name; empty where the folder holds no pictures.

    Raises:
        InputError: a split that does not exist, or of a folder that has none.
    """
    splits = [name for name in SPLITS if (folder / name).is_dir()]
    if split is not None and split not in splits:
        found = ", ".join(splits) or "none"
        raise InputError(f"{folder} has no split {split}; there are: {found}.")
    if splits:
        folder = folder / (split or splits[0])
    pictures = list_pictures(folder)
    if pictures:
        return {"": pictures}
    classes = {inner.name: list_pictures(inner) for inner in list_folders(folder)}
    return {name: found for name, found in classes.items() if found}


def list_pictures(folder: Path) -> list[Path]:
    """Files of a folder that are named like pictures, sorted by name; hidden ones are not."""
    return [folder / name for name in _names(folder) if _is_picture_name(name)]


def list_folders(folder: Path) -> list[Path]:
    """The folders within a folder, sorted by name; hidden ones are not."""
    return [folder / name for name in _names(folder) if (folder / name).is_dir()]


def _is_picture_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122


def _names(folder: Path) -> Sequence[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror}.") from error
