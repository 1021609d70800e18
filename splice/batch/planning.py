"""What is left of a batch: which pairs are finished, which can go on, which are still to begin."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splice.errors import InputError
from splice.method.settings import Settings
from splice.pictures.pairs import Pair
from splice.running.inputs import Files
from splice.running.outputs import CHECKPOINT, RECORD, RunFolder
from splice.running.presets import change_settings

if TYPE_CHECKING:
    from splice.backbones.weights import Progress, Provenance


@dataclass(frozen=True)
class Task:
    """One pair with everything that decides what its run does.

    Attributes:
        name: of the pair, unique in the batch.
        structure: file of the structure image.
        appearance: file of the appearance image.
        settings: of the run, the pair's own included.
        folder: of the run.
        structure_mask: file of the structure image's mask, if it has one.
        appearance_mask: likewise of the appearance image's.
    """

    name: str
    structure: Path
    appearance: Path
    settings: Settings
    folder: Path
    structure_mask: Path | None = None
    appearance_mask: Path | None = None

    @property
    def step_count(self) -> int:
        """Steps of its run; those of a square picture where its own cannot be read."""
        try:
            return self.files().settled(self.settings).step_count
        except InputError:
            return self.settings.step_count

    def files(self) -> Files:
        """The files of its run."""
        masks = self.structure_mask, self.appearance_mask
        return Files.of(self.structure, self.appearance, self.settings, *masks)


@dataclass(frozen=True)
class BatchPlan:
    """A batch as it stands.

    Attributes:
        tasks: to be done, in the order of the pairs; those that can go on from a checkpoint first.
        finished: done before, and left alone.
        unfinished: how many of the tasks have a checkpoint.
    """

    tasks: tuple[Task, ...]
    finished: tuple[Task, ...] = ()
    unfinished: int = 0


def settings_of(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings of one pair: the batch's, with the pair's own laid over them.

    Raises:
        InputError: a setting that does not exist, or a value that it cannot have.
    """
    if not changes:
        return settings
    # Settings are frozen, so they have a hash.
    return _changed(settings, json.dumps(changes, sort_keys=True))  # pyright: ignore[reportArgumentType]


@lru_cache(maxsize=20_000)
def _changed(settings: Settings, changes: str) -> Settings:
    """Kept, because every pair's are made twice: to check them, and to plan with them."""
    return change_settings(settings, json.loads(changes), "its settings")


def plan_batch(
    pairs: Sequence[Pair], settings: Settings, output: Path, *, resume: bool = False
) -> BatchPlan:
    """Find what is left to do.

    A pair's run lies in `output/<name of the pair>/`. Nothing is written. With `resume`, a finished
    run counts as such only if its pictures (by sha256) and settings are those of now.

    Args:
        pairs: with distinct names.
        settings: of the batch.
        output: folder of the batch.
        resume: leave finished runs alone and go on with unfinished ones.

    Raises:
        InputError: a pair's settings are wrong; without `resume`, there are runs of these pairs
            already; with it, a finished run is of other pictures or settings.
    """
    there = _names(output)
    tasks = [
        Task(
            pair.name,
            pair.structure,
            pair.appearance,
            settings_of(settings, pair.settings),
            output / pair.name,
            pair.structure_mask,
            pair.appearance_mask,
        )
        for pair in pairs
    ]
    begun = [t for t in tasks if t.name in there and _has_run(t.folder)]
    if begun and not resume:
        number = f"a run of the pair {begun[0].name}"
        if len(begun) > 1:
            number = f"runs of {len(begun)} of these pairs"
        raise InputError(
            f"{output} holds {number} already; add --resume to go on with what is left, or give "
            "another --output."
        )
    finished, unfinished = set(), set()
    for task in begun:
        if _is_finished(task):
            finished.add(task.name)
        elif (task.folder / CHECKPOINT).is_file():
            unfinished.add(task.name)
    left = [task for task in tasks if task.name not in finished]
    left.sort(key=lambda task: task.name not in unfinished)
    done = tuple(task for task in tasks if task.name in finished)
    return BatchPlan(tuple(left), done, len(unfinished))


def fetch_backbones(
    tasks: Sequence[Task], progress: "Progress | None" = None
) -> dict[tuple[str, str | None], "Provenance"]:
    """Make sure that all weights that the tasks need are on this machine, before any work.

    Returns:
        Where the weights of each backbone are that come from no file of the user's, by
        (backbone, None).

    Raises:
        InputError: a file of weights does not exist.
        RunError: weights could not be fetched.
    """
    from splice.backbones.weights import fetch_weights

    found = {}
    for backbone, weights in sorted(
        {(t.settings.backbone, t.settings.weights) for t in tasks}, key=str
    ):
        if weights is None:
            found[backbone, None] = fetch_weights(backbone, progress=progress)
        elif not Path(weights).expanduser().is_file():
            raise InputError(f"the file of weights {weights} does not exist.")
    return found


def _names(output: Path) -> set[str]:
    try:
        return set(os.listdir(output))  # noqa: PTH208 - ten thousand names, not paths
    except FileNotFoundError:
        return set()
    except NotADirectoryError:
        raise InputError(f"{output} is a file; give a folder as --output.") from None
    except OSError as error:
        raise InputError(f"{output} cannot be read: {error.strerror}.") from error


def _has_run(folder: Path) -> bool:
    return (folder / RECORD).is_file() or (folder / CHECKPOINT).is_file()


def _is_finished(task: Task) -> bool:
    if (task.folder / CHECKPOINT).is_file():
        return False
    from splice.running.outcome import earlier_outcome

    with RunFolder(task.folder, wait=10.0) as folder:
        return earlier_outcome(folder, task.files(), task.settings) is not None
