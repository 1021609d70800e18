"""Who is here: each open page with its folder, its pictures, its turn and what it has painted."""

import secrets
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from splice.errors import InputError, RunError
from splice.method.settings import Settings
from splice.studio.masks import write_mask
from splice.studio.painting import Painting, Wish
from splice.studio.pictures import Dropped, keep, plain_name
from splice.studio.turns import Turn

Role = Literal["structure", "appearance"]

MOST_PAINTED = 24
"""Pictures of a visitor that are kept; the oldest goes first."""


@dataclass
class Visitor:
    """One open page.

    Attributes:
        folder: that holds everything of this visitor's; its name cannot be guessed.
        pictures: that were dropped, by their role.
        masks: what was brushed over of them; none for all.
        painted: what was painted and can be looked at again, newest first.
        painting: what is being painted, or was last.
        turn: of that.
        uploads: files of the server's in which pictures came.
    """

    folder: Path
    pictures: dict[Role, Dropped] = field(default_factory=dict)
    masks: dict[Role, Path] = field(default_factory=dict)
    painted: list[Painting] = field(default_factory=list)
    painting: Painting | None = None
    turn: Turn | None = None
    uploads: set[Path] = field(default_factory=set)
    _count: int = 0

    @property
    def busy(self) -> bool:
        """Whether something is being painted for this visitor, or waits for its turn."""
        return self.turn is not None and not self.turn.ended

    def drop(self, role: Role, upload: Path, name: str) -> Dropped:
        """Keeps a picture.

        Raises:
            InputError: it cannot be used; there is then no picture of that role.
        """
        self.forget(role)
        # A run that still reads the last one is left alone.
        dropped = keep(upload, self._new_folder(role), name)
        self.pictures[role] = dropped
        return dropped

    def forget(self, role: Role) -> None:
        """Takes a picture away, and what was brushed over of it."""
        self.pictures.pop(role, None)
        self.masks.pop(role, None)

    def brush(self, role: Role, strokes: str) -> None:
        """Keeps what is brushed over of a picture; where nothing is, all of it counts.

        Args:
            role: of the picture.
            strokes: a PNG as the address of data, whose opacity says where.

        Raises:
            InputError: there is no picture, or it is no such PNG.
        """
        self.masks.pop(role, None)
        if role not in self.pictures:
            raise InputError(f"drop the {role} image first; there is nothing to brush over.")
        stem = Path(self.pictures[role].name).stem
        folder = self._new_folder("mask")
        folder.mkdir()
        # Both pictures may have the same name.
        mask = write_mask(strokes, folder / plain_name(f"{role}-mask-{stem}.png"))
        if mask is not None:
            self.masks[role] = mask

    def wish(self, preset: str, settings: Settings) -> Wish:
        """What to paint now.

        Raises:
            InputError: a picture is missing.
        """
        for role, what in (("structure", "has the shapes"), ("appearance", "has the look")):
            if role not in self.pictures:
                raise InputError(f"drop the picture that {what} first, or take a sample.")
        return Wish(
            self.pictures["structure"],
            self.pictures["appearance"],
            preset,
            settings,
            self.masks.get("structure"),
            self.masks.get("appearance"),
        )

    def begin(self, wish: Wish, *, debug: bool = False) -> Painting:
        """A painting in a folder of its own."""
        self.painting = Painting(wish, self._new_folder("run"), debug=debug)
        return self.painting

    def remember(self, painting: Painting) -> None:
        """Puts what was painted first in the gallery; beyond `MOST_PAINTED`, the oldest goes."""
        if painting in self.painted:
            return
        self.painted.insert(0, painting)
        for old in self.painted[MOST_PAINTED:]:
            shutil.rmtree(old.folder, ignore_errors=True)
        del self.painted[MOST_PAINTED:]

    def _new_folder(self, name: str) -> Path:
        self._count += 1
        return self.folder / f"{name}-{self._count}"


class Visitors:
    """All open pages, by the name that the server gives to each."""

    def __init__(self, folder: Path) -> None:
        """Nobody is here.

        Args:
            folder: in which each visitor gets one.
        """
        self._folder = folder
        self._here: dict[str, Visitor] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._here)

    def of(self, name: str | None) -> Visitor:
        """The visitor of that name, who is here from now on.

        Raises:
            RunError: no name.
        """
        if not name:
            raise RunError("this page has no session; load it again.")
        with self._lock:
            if name not in self._here:
                folder = self._folder / secrets.token_urlsafe(18)
                folder.mkdir(parents=True)
                self._here[name] = Visitor(folder)
            return self._here[name]

    def leave(self, name: str | None) -> None:
        """Ends what is being painted for a visitor, and removes all that is theirs."""
        with self._lock:
            visitor = self._here.pop(name or "", None)
        if visitor is None:
            return
        if visitor.turn is not None:
            visitor.turn.stop(left=True)
            visitor.turn.wait()
        shutil.rmtree(visitor.folder, ignore_errors=True)
        with self._lock:
            # The same file from two visitors lies there once.
            others = {file for each in self._here.values() for file in each.uploads}
        for file in visitor.uploads - others:
            file.unlink(missing_ok=True)
