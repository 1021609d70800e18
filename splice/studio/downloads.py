"""Files to take home, under names that say what they are."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from splice.running.outputs import PANEL, PICTURE, RECORD, TIME_LAPSE
from splice.studio.painting import Painting

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
    """What a run has to take home, by kind; copied once, beside the run's own files."""
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
            shutil.copyfile(source, target)
        found[kind] = Download(kind, target)
    masks = zip(MASKS, (wish.structure_mask, wish.appearance_mask), strict=True)
    found |= {kind: Download(kind, file) for kind, file in masks if file is not None}
    return found


def _plain(stem: str) -> str:
    """A stem of letters, digits, dashes and dots, at most 60 of them."""
    return re.sub(r"[^\w.\-]+", "-", stem).strip("-.")[:60] or "picture"
