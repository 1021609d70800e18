"""One run as a visitor sees it: what happens now, how long it takes, and the picture so far."""

import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from splice.backbones.frozen_vit import FrozenViT
from splice.errors import SpliceError
from splice.method.settings import Settings
from splice.method.step import Step
from splice.pictures.images import read_image, to_pil
from splice.running.inputs import Files
from splice.running.outcome import Outcome
from splice.running.outputs import PICTURE, RunFolder
from splice.running.run import Run
from splice.studio.pictures import Dropped, save, shrunk
from splice.studio.time_left import TimeLeft

SHOWN_EVERY = 0.7
"""Seconds between two pictures on the page, at least."""

SHOWN_RARELY = 15
"""Times as long as it takes to make a picture for the page, the next one waits."""

KEPT_PICTURES = 4
"""Pictures so far that stay on the disk, as a browser may still be fetching them."""

Stage = Literal["waiting", "preparing", "painting", "finishing", "done", "stopped", "failed"]


@dataclass(frozen=True)
class Wish:
    """What a visitor wants painted.

    Attributes:
        structure: the structure image.
        appearance: the appearance image.
        preset: where the settings come from.
        settings: of the run.
        structure_mask: file that is white where the structure image is painted; None for all of it.
        appearance_mask: likewise, white where the look comes from.
    """

    structure: Dropped
    appearance: Dropped
    preset: str
    settings: Settings
    structure_mask: Path | None = None
    appearance_mask: Path | None = None

    @property
    def masks(self) -> dict[str, Path]:
        """The masks that there are, by what they are."""
        both = {"structure mask": self.structure_mask, "appearance mask": self.appearance_mask}
        return {what: file for what, file in both.items() if file is not None}


@dataclass(frozen=True)
class Moment:
    """What there is to see of a run.

    Attributes:
        stage: of the run.
        words: more of it in a few words, where there is more to say; if it failed, why.
        step: steps done.
        steps: of the whole run.
        left: seconds, if they can be told yet.
        picture: the picture so far, as large as the structure image's preview.
        outcome: how it ended, if it has a picture.
    """

    stage: Stage = "waiting"
    words: str = ""
    step: int = 0
    steps: int = 0
    left: float | None = None
    picture: Path | None = None
    outcome: Outcome | None = None


class LeftError(Exception):
    """Nobody waits for the picture any more."""


class Painting:
    """A run that tells what there is to see of it.

    Attributes:
        wish: what is to be painted.
        folder: of the run's files.
        moment: what there is to see now; another object whenever there is something new.
    """

    def __init__(self, wish: Wish, folder: Path, *, debug: bool = False) -> None:
        """Waits for `run`.

        Args:
            wish: what is to be painted.
            folder: of the run's files; created when it begins.
            debug: print where an unexpected failure arose.
        """
        self.wish, self.folder, self.moment = wish, folder, Moment()
        self._debug = debug
        self._shown = 0
        self._next = 0.0

    def run(
        self,
        stopping: Callable[[], bool],
        left: Callable[[], bool],
        backbones: dict[tuple[str, str | None, str], FrozenViT],
    ) -> None:
        """Paints until it is done or stopped. Failures are told in the moment, not raised.

        Args:
            stopping: asked after every step; the picture so far is then finished and kept.
            left: asked likewise; nothing is then kept.
            backbones: loaded already, by name, weights and device; the one in use is the one kept.
        """
        try:
            self._run(stopping, left, backbones)
        except LeftError:
            self._tell(stage="stopped")
        except SpliceError as error:
            self._tell(stage="failed", words=str(error))
        except Exception as error:
            if self._debug:
                traceback.print_exc(file=sys.stderr)
            said = " ".join(str(error).split())[:300].rstrip(".")
            self._tell(
                stage="failed",
                words=f"something unexpected happened ({type(error).__name__}: {said}).",
            )

    def _run(
        self,
        stopping: Callable[[], bool],
        left: Callable[[], bool],
        backbones: dict[tuple[str, str | None, str], FrozenViT],
    ) -> None:
        wish, settings = self.wish, self.wish.settings
        self._tell(stage="preparing", steps=settings.step_count)
        key = (settings.backbone, settings.weights, settings.device)
        with RunFolder(self.folder) as folder:
            masks = wish.structure_mask, wish.appearance_mask
            files = Files.of(wish.structure.file, wish.appearance.file, settings, *masks)
            run = Run(files, settings, folder, progress=self._fetching, vit=backbones.get(key))
            self._tell(stage="preparing", steps=run.settings.step_count)
            backbones.clear()
            backbones[key] = run.vit
            outcome = run.proceed(
                watch=self._watcher(run, left),
                shown=self._toned,
                stop=lambda: 0 if stopping() else None,
                checkpoint_every=float("inf"),
            )
        self._show(outcome.file)
        self._tell(
            stage="done" if outcome.finished else "stopped",
            step=outcome.step,
            left=None,
            outcome=outcome,
        )

    def _watcher(self, run: Run, left: Callable[[], bool]) -> Callable[[Step], None]:
        method = run.transfer.method
        clock = TimeLeft(method.kind, run.first, run.settings.step_count)
        last = time.monotonic()

        def watch(step: Step) -> None:
            nonlocal last
            if left():
                raise LeftError
            now = time.monotonic()
            # A step's own seconds leave out what is written between two of them; the first one's
            # contain what is found once for a pair.
            clock.add(step.step, step.seconds if step.step == run.first + 1 else now - last)
            last = now
            # While the lesson is learnt there is nothing but the tones.
            if now >= self._next and method.kind(step.step - 1) != "lesson":
                self._show(to_pil(run.transfer.picture()))
                ended = time.monotonic()
                self._next = ended + max(SHOWN_EVERY, SHOWN_RARELY * (ended - now))
            ending = step.step == step.steps
            self._tell(
                stage="finishing" if ending else "painting",
                words=step.note or method.kind(step.step - 1),
                step=step.step,
                left=clock.seconds(),
            )

        return watch

    def _toned(self) -> None:
        """Shows the first picture that lies there in full size."""
        if self._shown == 0:
            self._show(self.folder / PICTURE)

    def _fetching(self, stage: str, done: int, total: int | None) -> None:
        size = f", {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else ""
        self._tell(words=f"{stage}{size}")

    def _show(self, picture: Image.Image | Path) -> None:
        """Writes the picture so far for the page, as large as the structure image is shown."""
        self._shown += 1
        file = self.folder / f"shown-{self._shown}.jpg"
        if isinstance(picture, Path):
            # It has the structure image's profile and transparency, which a page's JPEG has not.
            picture = shrunk(to_pil(read_image(picture)))
        size = self.wish.structure.size
        if picture.size != size:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        save(picture, file)
        old = self.folder / f"shown-{self._shown - KEPT_PICTURES}.jpg"
        old.unlink(missing_ok=True)
        self._tell(picture=file)

    def _tell(self, **news: object) -> None:
        """Replaces the moment in one go, as another thread reads it."""
        changed: Mapping[str, object] = {**vars(self.moment), **news}
        self.moment = Moment(**changed)  # type: ignore[arg-type]
