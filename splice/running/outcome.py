"""How a run ended, and how an earlier one of the same pictures and settings did."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splice.analysis.scores.metrics import BETTER, Scores
from splice.errors import InputError
from splice.method.settings import Settings
from splice.running import checkpoint as checkpoints
from splice.running.inputs import Files, recorded_sums
from splice.running.outputs import RunFolder


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        file: what was made, or what there is of it: a picture, a sheet of pictures, or a model.
        finished: whether all steps are done; if not, the run can be resumed.
        step: steps done, of `steps`.
        steps: that the run was asked for.
        seconds: that the run took, those before it was resumed included.
        scores: of the output of one pair; None while unfinished.
        exit_status: with which the run was asked to stop, if it was.
    """

    file: Path
    finished: bool
    step: int
    steps: int
    seconds: float
    scores: Scores | None = None
    exit_status: int | None = None


def earlier_record(
    folder: RunFolder,
    settings: Callable[[], Mapping[str, Any]],
    inputs: Callable[[], Mapping[str, str]],
    recorded: Callable[[Mapping[str, Any]], Mapping[str, str]],
) -> dict[str, Any] | None:
    """The record of a finished run of these settings and inputs in the folder, if there is one.

    Args:
        folder: of the run.
        settings: gives those of the run that is wanted: JSON-able values by section.
        inputs: gives the sha256 of each of its inputs, by what it is.
        recorded: gives the same of a record.

    Raises:
        InputError: the folder holds a finished run of other inputs or with other settings.
    """
    record = folder.finished_record()
    try:
        if record is None:
            return None
        old, steps, _ = record["settings"], record["steps"], record["seconds"]
        old_inputs = recorded(record)
    except (KeyError, TypeError, AttributeError):
        return None
    wanted = settings()
    checkpoints.refuse_differences(old, wanted, old_inputs, inputs(), folder.path)
    if wanted["steps"] != steps:
        raise InputError(
            f"the run in {folder.path} is finished after {steps} steps, and finished runs keep no "
            "checkpoint to go on from; name another folder for a longer one."
        )
    return record


def earlier_outcome(folder: RunFolder, files: Files, settings: Settings) -> Outcome | None:
    """The outcome of a finished run of this pair and these settings in the folder, if there is one.

    Raises:
        InputError: the folder holds a finished run of another pair or with other settings.
    """

    def wanted() -> dict[str, Any]:
        return files.settled(settings).model_dump(mode="json")

    record = earlier_record(folder, wanted, files.sums, recorded_sums)
    if record is None:
        return None
    steps, seconds, scores = record["steps"], record["seconds"], record.get("scores")
    if scores is None:
        return Outcome(folder.picture, True, steps, steps, seconds)
    # A run of an earlier version may lack a score.
    known = {name: scores.get(name) for name in BETTER}
    numbers = {name: float("nan") if value is None else value for name, value in known.items()}
    return Outcome(folder.picture, True, steps, steps, seconds, Scores(**numbers))
