"""A domain on disk: which pictures there are, and what is written about them.

Any tree of pictures is a domain. Where it has parts (`train/`, `val/`, `test/`, as AFHQ has), one of
them is taken. Captions are lines of a text of the picture's name, beside it or in a tree of texts.
AttnGAN keeps those of CUB in `text/<class>/<name>.txt`, of Oxford-102 in `text_c10/<class>/<name>.txt`.
"""

import io
import os
import pickle
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splice.domain.text import words_of
from splice.errors import InputError, SpliceError
from splice.pictures.formats import PICTURE_SUFFIXES
from splice.pictures.images import check_picture
from splice.pictures.pairs.folders import SPLITS
from splice.running.outputs import CHECKPOINT

TEXT_FOLDERS = ("text", "text_c10")
"""Where captions lie that are not beside their pictures."""

NAME_LISTS = "filenames.pickle"
"""In a part's folder, the names of its pictures, as AttnGAN lists those of CUB and Oxford-102."""

MODEL = "model.safetensors"
"""In the folder of a training, the model."""

TRAINED = (MODEL, CHECKPOINT)
"""By each of these files the folder of a training is known: its previews are of no domain."""


@dataclass(frozen=True)
class DomainPicture:
    """One picture of a domain.

    Attributes:
        file: where it is.
        name: its path within the domain, with `/`.
        captions: what is written about it, a sentence each; perhaps nothing.
    """

    file: Path
    name: str
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Domain:
    """The pictures of a domain, sorted by name.

    Attributes:
        root: its folder.
        split: the part that was taken; None where there are no parts.
        pictures: those that can be read.
        problems: a sentence on each that cannot, or that has no captions though they are needed.
    """

    root: Path
    split: str | None
    pictures: tuple[DomainPicture, ...]
    problems: tuple[str, ...] = ()


def find_domain(
    root: Path,
    *,
    split: str | None = None,
    captions: Path | None = None,
    captioned: bool = False,
    output: Path | None = None,
) -> Domain:
    """The pictures below a folder, with their captions; those in folders of trainings left out.

    Args:
        root: of the domain.
        split: which of its parts; by default `train` where there is one, else all of it.
        captions: folder of the texts; by default beside the pictures, or in `text/` or `text_c10/`.
        captioned: leave out pictures without captions.
        output: folder of the training that is to learn them, which may lie within.

    Raises:
        InputError: no folder, a part that it does not have, or fewer than two pictures; an output
            folder that holds pictures of the domain.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give a folder of pictures.")
    if captions is not None and not captions.is_dir():
        raise InputError(f"--captions {captions} is not a folder; give one with texts.")
    if output is not None:
        _check_output(root, output)
    named, split = _of_split(root, split)
    texts = _Texts([captions] if captions else [root / name for name in TEXT_FOLDERS])
    pictures, problems = [], []
    for file in named:
        name = file.relative_to(root).as_posix()
        try:
            check_picture(file)
            beside = () if captions else _lines(file.with_suffix(".txt"))
            written = beside or texts.of(file)
        except SpliceError as error:
            problems.append(str(error))
            continue
        if captioned and not written:
            problems.append(f"{file} has no captions; write them to {file.stem}.txt beside it.")
            continue
        pictures.append(DomainPicture(file, name, written))
    if len(pictures) < 2:
        what = "pictures with captions" if captioned else "pictures"
        first = f" ({problems[0].rstrip('.')})" if problems else ""
        raise InputError(
            f"{root} holds {len(pictures) or 'no'} {what} that can be read{first}; "
            "a domain has at least two."
        )
    return Domain(root, split, tuple(pictures), tuple(problems))


def _of_split(root: Path, wanted: str | None) -> tuple[list[Path], str | None]:
    """The picture files of a part, and which part it is."""
    everything = list(_pictures(root))
    folders: dict[str, list[Path]] = {}
    for name in SPLITS:
        listed = root / name / NAME_LISTS
        if listed.is_file():
            folders[name] = _listed(listed, everything)
        elif inside := [file for file in everything if file.relative_to(root).parts[0] == name]:
            folders[name] = inside
    if wanted is not None and wanted not in folders:
        there = ", ".join(sorted(folders)) or "none"
        raise InputError(f"--split {wanted}: {root} has no such part; there are: {there}.")
    taken = wanted or ("train" if "train" in folders else None)
    return (everything, None) if taken is None else (folders[taken], taken)


def _pictures(root: Path) -> Iterator[Path]:
    """All files below a folder that are named like pictures, in the order of their paths."""
    found = []
    for folder, inner, files in os.walk(root, onerror=_refuse):
        inner[:] = [
            name
            for name in inner
            if not name.startswith((".", "__MACOSX")) and not _is_trained(Path(folder, name))
        ]
        for name in files:
            path = Path(folder, name)
            if path.suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."):
                found.append(path)
    yield from sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _is_trained(folder: Path) -> bool:
    """Whether a training was or is written to a folder."""
    return any((folder / name).is_file() for name in TRAINED)


def _check_output(root: Path, output: Path) -> None:
    """Refuse an output folder that holds pictures of the domain, as a resumed run would miss them."""
    inside, place = root.resolve(), output.resolve()
    if place == inside:
        raise InputError(
            f"--output {output} is the folder of the pictures itself; give another one, "
            f"such as {root / 'model'}."
        )
    if inside not in place.parents or not place.is_dir() or _is_trained(place):
        return
    if any(True for _ in _pictures(place)):
        raise InputError(
            f"--output {output} holds pictures of the domain {root}; give a folder without any."
        )


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be listed: {error.strerror}.") from error


def _listed(file: Path, pictures: list[Path]) -> list[Path]:
    """Those of the pictures that a list names, by class and name or by name alone."""
    names = set(_read_names(file))
    ends = {name.rpartition("/")[2] for name in names}
    often = Counter(path.stem for path in pictures)
    return [
        path
        for path in pictures
        if f"{path.parent.name}/{path.stem}" in names
        or (path.stem in ends and often[path.stem] == 1)
    ]


class _Names(pickle.Unpickler):
    """Reads lists of words and nothing else: a pickle can name code, which is refused."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"names {module_name}.{global_name}")


def _read_names(file: Path) -> list[str]:
    try:
        names = _Names(io.BytesIO(file.read_bytes()), encoding="latin1").load()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    except Exception as error:  # damaged pickles raise nearly every kind
        raise InputError(
            f"{file} is no list of picture names ({type(error).__name__}); "
            "give an intact copy, or remove it."
        ) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{file} is no list of picture names; give an intact copy, or remove it.")
    return names


class _Texts:
    """Texts in trees of their own, found by a picture's class and name, or by its name alone."""

    def __init__(self, folders: list[Path]) -> None:
        self._files: dict[str, list[Path]] = {}
        for folder in folders:
            for path in sorted(folder.rglob("*.txt")) if folder.is_dir() else ():
                self._files.setdefault(path.stem, []).append(path)

    def of(self, picture: Path) -> tuple[str, ...]:
        files = self._files.get(picture.stem, [])
        same_class = [file for file in files if file.parent.name == picture.parent.name]
        if len(same_class or files) != 1:
            return ()
        return _lines((same_class or files)[0])


def _lines(file: Path) -> tuple[str, ...]:
    """The sentences of a text, one a line, those without a word left out; none without a text.

    Raises:
        InputError: it cannot be read.
    """
    try:
        # Some of CUB's captions hold bytes of no encoding.
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    lines = (" ".join(line.replace("\ufffd", " ").split()) for line in text.splitlines())
    return tuple(line for line in lines if words_of(line))


def held_out(domain: Domain, count: int) -> tuple[list[int], list[int]]:
    """Which pictures are learnt from, and which are kept for looking and scoring alone.

    Those kept lie evenly over the names, so that every class has its share.

    Args:
        domain: at least two more pictures than are kept.
        count: of pictures that are kept.

    Raises:
        InputError: too few pictures would be left.
    """
    total = len(domain.pictures)
    if count > total - 2:
        raise InputError(
            f"--held-out {count} leaves fewer than two of the {total} pictures in {domain.root}; "
            f"give at most {max(0, total - 2)}."
        )
    kept = {(2 * index + 1) * total // (2 * count) for index in range(count)}
    return [index for index in range(total) if index not in kept], sorted(kept)


def summary(domain: Domain) -> Mapping[str, int]:
    """How many pictures each class has, a class being the folder that a picture lies in."""
    counts: dict[str, int] = {}
    for picture in domain.pictures:
        folder = picture.name.rpartition("/")[0] or "."
        counts[folder] = counts.get(folder, 0) + 1
    return counts
