"""How a run ended, and how an earlier one of the same pair and settings did."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splice.analysis.scores.metrics import BETTER, Scores
from splice.errors import InputError
from splice.method.settings import Settings
from splice.running import checkpoint as checkpoints
from splice.running.inputs import Files, recorded_sums
from splice.running.outputs import CHECKPOINT, RunFolder


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        picture: the output, or the output so far.
        finished: whether all steps are done; if not, the run can be resumed.
        step: steps done, of `steps`.
        steps: that the run was asked for.
        seconds: that the run took, those before it was resumed included.
        scores: of the output; None while unfinished.
        exit_status: with which the run was asked to stop, if it was.
    """

    picture: Path
    finished: bool
    step: int
    steps: int
    seconds: float
    scores: Scores | None = None
    exit_status: int | None = None


def earlier_outcome(
    folder: RunFolder,
    structure: Path,
    appearance: Path | Sequence[Path],
    settings: Settings,
    structure_mask: Path | None = None,
    appearance_mask: Path | Sequence[Path | None] | None = None,
) -> Outcome | None:
    """The outcome of a finished run of this pair and these settings in the folder, if there is one.

    Raises:
        InputError: the folder holds a finished run of another pair or with other settings.
    """
    record = folder.read_record()
    if record is None or folder.has(CHECKPOINT) or not record.get("finished"):
        return None
    try:
        old_inputs = recorded_sums(record)
        old, steps, seconds = record["settings"], record["steps"], record["seconds"]
        scores = record["scores"]
    except (KeyError, TypeError, AttributeError):
        return None
    inputs = Files.of(structure, appearance, settings, structure_mask, appearance_mask).sums()
    now = settings.model_dump(mode="json")
    checkpoints.refuse_differences(old, now, old_inputs, inputs, folder.path)
    if settings.steps != steps:
        raise InputError(
            f"the run in {folder.path} is finished after {steps} steps, and finished runs keep no "
            "checkpoint to go on from; name another folder for a longer one."
        )
    if scores is None:
        return Outcome(folder.picture, True, steps, steps, seconds)
    # A run of an earlier version may lack a score.
    known = {name: scores.get(name) for name in BETTER}
    numbers = {name: float("nan") if value is None else value for name, value in known.items()}
    return Outcome(folder.picture, True, steps, steps, seconds, Scores(**numbers))
