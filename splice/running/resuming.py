"""What every kind of run has in common: how it is known again, its clock, and how it is watched."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.weights import Progress
from splice.running.checkpoint import Checkpoint, check_continues, fits, save_checkpoint
from splice.running.outputs import CHECKPOINT, RunFolder

S = TypeVar("S")


class Resumable:
    """A run as its checkpoints know it, from the time when it began.

    Attributes:
        settings: JSON-able values by section.
        inputs: sha256 of every input, by what it is; of the weights, too, once they are loaded.
        earlier: the checkpoint to go on from, if there is one.
        begun: when this part of the run began, as `time.monotonic` has it.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        inputs: Mapping[str, str],
        earlier: Checkpoint | None,
    ) -> None:
        """Starts the clock.

        Raises:
            InputError: the checkpoint is of another run.
        """
        self.begun, self._started = time.monotonic(), _now()
        self._seconds_before, self._resumed = 0.0, 0
        self.settings, self.inputs, self.earlier = settings, dict(inputs), earlier
        self._folder = folder
        self._check()

    def _check(self) -> None:
        if self.earlier is not None:
            check_continues(self.earlier, self.settings, self.inputs, self._folder)

    def load(
        self,
        device: torch.device,
        *,
        dtype: torch.dtype = torch.float32,
        progress: Progress | None = None,
        vit: FrozenViT | None = None,
    ) -> FrozenViT:
        """The backbone that the settings name; `vit` where it is loaded already.

        Raises:
            InputError: its weights cannot be used, or are not those of the checkpoint.
            RunError: they could not be fetched.
        """
        vit = vit or FrozenViT.load(
            self.settings["backbone"],
            device=device,
            weights=self.settings["weights"],
            dtype=dtype,
            progress=progress,
        )
        if vit.provenance is not None:
            self.inputs["weights"] = vit.provenance.sha256
        self._check()
        return vit

    @contextlib.contextmanager
    def restoring(self, earlier: Checkpoint) -> Iterator[None]:
        """Within, the run is restored from its checkpoint, as its clock is.

        Raises:
            RunError: what was read does not fit this program.
        """
        try:
            self._seconds_before = float(earlier.watched.get("seconds", 0.0))
            self._started = str(earlier.watched.get("started", self._started))
            self._resumed = int(earlier.watched.get("resumed", 0)) + 1
            yield
        except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise fits(error, self._folder) from error

    def save(
        self,
        folder: RunFolder,
        step: int,
        state: Mapping[str, Any],
        watched: Mapping[str, Any],
    ) -> None:
        """Writes a checkpoint.

        Args:
            folder: of the run, held.
            step: steps done.
            state: of the optimisation.
            watched: what was recorded on the way, to which the clock is added.

        Raises:
            InputError, RunError: it cannot be written.
        """
        clock = {
            "seconds": self.seconds(),
            "started": self._started,
            "resumed": self._resumed,
        }
        checkpoint = Checkpoint(step, self.settings, self.inputs, state, {**watched, **clock})
        with folder.writing():
            save_checkpoint(folder.path / CHECKPOINT, checkpoint)

    def seconds(self) -> float:
        """How long the run has taken, with what it took before it was resumed."""
        return self._seconds_before + time.monotonic() - self.begun

    def times(self) -> dict[str, Any]:
        """When it began and ended, for the record; it ends now."""
        return {"started": self._started, "ended": _now(), "resumed": self._resumed}


def proceed(
    steps: Iterable[S],
    taken: Callable[[S], object],
    *,
    watch: Callable[[S], object],
    stop: Callable[[], int | None],
    save: Callable[[], object],
    every: float,
) -> int | None:
    """Goes through the steps of a loop until it ends, or is asked to stop.

    Args:
        steps: of the loop.
        taken: is given every step, for the run itself.
        watch: is given it next, for whoever looks on.
        stop: is asked after every step; an exit status means to stop there.
        save: writes a checkpoint.
        every: seconds between two checkpoints; 0 for one after every step.

    Returns:
        The exit status to stop with; None when the loop has ended.
    """
    saved = time.monotonic()
    for step in steps:
        taken(step)
        watch(step)
        status = stop()
        if status is not None:
            return status
        if time.monotonic() - saved >= every:
            save()
            saved = time.monotonic()
    return None


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
