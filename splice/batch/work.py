"""What a worker does, wherever it runs: one pair after the other, on backbones loaded once."""

import gc
import math
import os
import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.batch.events import Began, Ended, Event, Stepped
from splice.batch.planning import Task
from splice.errors import SpliceError
from splice.method.settings import Settings
from splice.running.device import find_device
from splice.running.outcome import Outcome, earlier_outcome
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.running.run import Run

if TYPE_CHECKING:
    from splice.method.step import Step

WAIT = 60.0
"""Seconds to wait for a folder that a worker of a killed batch may still hold, to end its step."""


class Backbones:
    """The backbones of one process, each loaded once, when a pair first needs it."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, str | None, torch.device], FrozenViT] = {}

    def get(
        self, settings: Settings, load: Callable[[torch.device], FrozenViT] | None = None
    ) -> FrozenViT:
        """The backbone of these settings, on their device.

        Args:
            settings: that name it.
            load: how to load it, if its weights are not where the settings say.

        Raises:
            SpliceError: it cannot be loaded.
        """
        device = find_device(settings.device)
        key = settings.backbone, settings.weights, device
        if key not in self._loaded:
            self._loaded[key] = load(device) if load is not None else _load(settings, device)
        return self._loaded[key]


def _load(settings: Settings, device: torch.device) -> FrozenViT:
    return FrozenViT.load(settings.backbone, device=device, weights=settings.weights)


def carry_out(
    task: Task,
    backbone: Callable[[], FrozenViT],
    *,
    tell: Callable[[Event], object],
    stop: Callable[[], bool],
    tell_every: float = 0.25,
    checkpoint_every: float = 30.0,
    checkpointed: Callable[[Path], object] | None = None,
) -> Ended:
    """Do one pair, from its checkpoint if it has one. Nothing that goes wrong is raised.

    Args:
        task: the pair.
        backbone: gives the frozen transformer of the task's settings.
        tell: is given what happens before the end.
        stop: is asked after every step; True means to save the state and end.
        tell_every: seconds between two `Stepped`, at least.
        checkpoint_every: seconds between two checkpoints; 0 for one after every step.
        checkpointed: is given the file of each checkpoint.
    """
    begun = time.monotonic()
    done = 0
    try:
        with RunFolder(task.folder, wait=WAIT) as folder:
            files = task.files()
            earlier = earlier_outcome(folder, files, task.settings)
            if earlier is not None:  # its worker was lost between the last file and the report
                return _ended(task, earlier)
            run = Run(files, task.settings, folder, resume=True, vit=backbone())
            done = run.first
            tell(Began(task.name, done, run.settings.step_count))
            told = saved = time.monotonic()

            def watch(step: "Step") -> None:
                nonlocal done, told, saved
                done = step.step
                now = time.monotonic()
                if now - told >= tell_every:
                    tell(Stepped(task.name, done))
                    told = now
                if checkpointed is not None and now - saved >= checkpoint_every:
                    run.save()
                    checkpointed(folder.path / CHECKPOINT)
                    saved = time.monotonic()

            outcome = run.proceed(
                watch=watch,
                stop=lambda: 1 if stop() else None,
                checkpoint_every=checkpoint_every if checkpointed is None else math.inf,
            )
        return _ended(task, outcome)
    except SpliceError as error:
        reason, details = str(error), None
    except Exception as error:
        reason, details = _unforeseen(error), traceback.format_exc()
    finally:
        _tidy()
    seconds = time.monotonic() - begun
    return Ended(task.name, "failed", done, seconds, reason, details, worker=worker_name())


def worker_name() -> str:
    """This process, as events name it: machine and process id."""
    return f"{platform.node()} {os.getpid()}"


def _ended(task: Task, outcome: Outcome) -> Ended:
    return Ended(
        task.name,
        "finished" if outcome.finished else "stopped",
        outcome.step,
        outcome.seconds,
        scores=asdict(outcome.scores) if outcome.scores is not None else None,
        worker=worker_name(),
    )


def _unforeseen(error: Exception) -> str:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return (
            "there is not enough memory; try a smaller --size, or fewer pairs at once "
            "(--workers, --pairs-per-device)."
        )
    said = " ".join(str(error).split())
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"something unexpected happened ({what.rstrip('.')[:300]})."


def _tidy() -> None:
    """Give memory of the last pair back, above all that of a pair that had too little."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
