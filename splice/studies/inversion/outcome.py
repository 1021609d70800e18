"""How a run of inversions ended, and how an earlier one of the same pictures and settings did."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splice.errors import InputError
from splice.running import checkpoint as checkpoints
from splice.running.inputs import sha256
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.studies.inversion.run_files import GRID
from splice.studies.inversion.settings import InversionSettings


@dataclass(frozen=True)
class InversionOutcome:
    """How a run of inversions ended.

    Attributes:
        grid: the file with all inversions beside their originals.
        finished: whether all steps are done; if not, the run can be resumed.
        step: steps done, of `steps`.
        steps: that the run was asked for.
        seconds: that the run took, those before it was resumed included.
        exit_status: with which the run was asked to stop, if it was.
    """

    grid: Path
    finished: bool
    step: int
    steps: int
    seconds: float
    exit_status: int | None = None


def sums_of(files: Sequence[Path]) -> dict[str, str]:
    """The sha256 of each picture, by the name that messages have for it.

    Raises:
        InputError: a file cannot be read.
    """
    return {f"picture {number}": sha256(file) for number, file in enumerate(files, 1)}


def earlier_outcome(
    folder: RunFolder, files: Sequence[Path], settings: InversionSettings
) -> InversionOutcome | None:
    """The outcome of a finished run of these pictures and settings in the folder, if there is one.

    Raises:
        InputError: the folder holds a finished run of other pictures or with other settings.
    """
    record = folder.read_record()
    if record is None or folder.has(CHECKPOINT) or not record.get("finished"):
        return None
    try:
        old = {f"picture {i}": each["sha256"] for i, each in enumerate(record["pictures"], 1)}
        old_settings, steps, seconds = record["settings"], record["steps"], record["seconds"]
    except (KeyError, TypeError):
        return None
    checkpoints.refuse_differences(
        old_settings, settings.model_dump(mode="json"), old, sums_of(files), folder.path
    )
    if settings.steps != steps:
        raise InputError(
            f"the run in {folder.path} is finished after {steps} steps, and finished runs keep no "
            "checkpoint to go on from; name another folder for a longer one."
        )
    return InversionOutcome(folder.path / GRID, True, steps, steps, seconds)
