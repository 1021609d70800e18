"""Files to take home, under names that say what they are."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splice.running.outputs import PANEL, PICTURE, RECORD, TIME_LAPSE
from splice.running.recipe import with_sources
from splice.studio.painting import Painting, Wish

KINDS = {
    "picture": (PICTURE, ".png"),
    "panel": (PANEL, "-panel.png"),
    "time lapse": (TIME_LAPSE, "-time-lapse.gif"),
    "record": (RECORD, ".json"),
}
"""By what each is called on the page: the file of the run, and how the name to take home ends."""


MASKS = ("structure mask", "appearance mask")
"""What else may be taken home, if there is one."""


@dataclass(frozen=True)
class Download:
    """A file to take home."""

    kind: str
    file: Path


def downloads(painting: Painting) -> dict[str, Download]:
    """What a run has to take home, by kind; copied once, beside the run's own files.

    Picture and record name the files as the visitor knows them, and no folder of the server's.
    """
    wish = painting.wish
    stem = "--".join(_plain(Path(each.name).stem) for each in (wish.structure, wish.appearance))
    found = {}
    for kind, (name, ending) in KINDS.items():
        source = painting.folder / name
        if not source.is_file():
            continue
        target = painting.folder / "downloads" / f"{stem}{ending}"
        if not target.is_file():
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(_at_home(kind, source.read_bytes(), wish))
        found[kind] = Download(kind, target)
    found |= {kind: Download(kind, file) for kind, file in wish.masks.items()}
    return found


def _at_home(kind: str, content: bytes, wish: Wish) -> bytes:
    """What a file of the run says on another machine."""
    names = {
        "structure image": wish.structure.name,
        "appearance image": wish.appearance.name,
        **{what: mask.name for what, mask in wish.masks.items()},
    }
    if kind == "picture":
        return with_sources(content, {what: Path(name) for what, name in names.items()})
    if kind == "record":
        record = json.loads(content)
        for role in ("structure", "appearance"):
            _rename(record[role], names, role)
        return (json.dumps(record, indent=2) + "\n").encode()
    return content


def _rename(entry: dict[str, Any], names: Mapping[str, str], role: str) -> None:
    """Gives an entry of a record, and that of its mask, the visitor's names."""
    entry["file"] = names[f"{role} image"]
    if "mask" in entry:
        entry["mask"]["file"] = names[f"{role} mask"]


def _plain(stem: str) -> str:
    """A stem of letters, digits, dashes and dots, at most 60 of them."""
    return re.sub(r"[^\w.\-]+", "-", stem).strip("-.")[:60] or "picture"
