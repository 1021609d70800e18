"""One pair of pictures, and names for pairs that are safe as folder names anywhere."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LONGEST_NAME = 120
"""Bytes of a name in UTF-8: file systems allow 255, and outputs add to it."""

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f/\\<>:"|?*]')
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}


@dataclass(frozen=True)
class Pair:
    """A structure image and an appearance image to be spliced.

    Attributes:
        name: unique within a plan, and safe as the name of a folder.
        structure: the picture that gives layout, pose and shapes.
        appearance: the picture that gives the look.
        settings: what differs from the settings of the run, for this pair alone; dotted names
            (`objective.nearest`) reach into groups.
        structure_mask: a picture, white where the structure image is to be painted; None for all.
        appearance_mask: a picture, white where the look is to come from; None for all.
    """

    name: str
    structure: Path
    appearance: Path
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    structure_mask: Path | None = None
    appearance_mask: Path | None = None


@dataclass(frozen=True)
class Draft:
    """A pair as a source states it, before its pictures and its name are checked.

    Attributes:
        where: how a message points at it: a line of a manifest, a folder.
        stem: what to call it where no name is given; made safe, and numbered where others
            share it.
        name: as given; must be safe and unique as it stands.
    """

    where: str
    structure: Path
    appearance: Path
    stem: str
    name: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    structure_mask: Path | None = None
    appearance_mask: Path | None = None


def name_after(structure: Path, appearance: Path) -> str:
    """The name of a pair that was given none: `<structure>--<appearance>`, made safe."""
    return safe_name(f"{structure.stem}--{appearance.stem}")


def name_problem(name: str) -> str | None:
    """What keeps a name from being a folder's name on some system; None where nothing does."""
    if not name.strip():
        return "the name is empty"
    if _FORBIDDEN.search(name):
        return f"the name {name!r} holds a character that a folder's name must not"
    if name[0] in ".- " or name[-1] in ". ":
        return f"the name {name!r} starts or ends with a dot, a dash or a space"
    if name.split(".")[0].lower() in _DEVICES:
        return f"the name {name!r} is reserved on Windows"
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return f"the name {name!r} is not valid text"
    if length > LONGEST_NAME:
        return f"the name {name[:40]!r}... is longer than {LONGEST_NAME} bytes"
    return None


def safe_name(text: str) -> str:
    """The nearest safe name; long ones end in a hash, so that they stay apart."""
    text = os.fsencode(text).decode("utf-8", "replace")
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text))
    name = re.sub(r"^[.\- ]+|[. ]+$", "", name) or "pair"
    if name.split(".")[0].lower() in _DEVICES:
        name = "_" + name
    if len(name.encode()) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        kept = name.encode()[: LONGEST_NAME - 9].decode("utf-8", "ignore").rstrip(". ")
        name = f"{kept}-{digest}"
    return name


def folded(name: str) -> str:
    """What two names share when some file system takes them for one."""
    return unicodedata.normalize("NFC", name).casefold()
