"""How an earlier run of inversions of the same pictures and settings ended."""

from collections.abc import Sequence
from pathlib import Path

from splice.running.inputs import sha256
from splice.running.outcome import Outcome, earlier_record
from splice.running.outputs import RunFolder
from splice.studies.inversion.run_files import GRID
from splice.studies.inversion.settings import InversionSettings


def sums_of(files: Sequence[Path]) -> dict[str, str]:
    """The sha256 of each picture, by the name that messages have for it.

    Raises:
        InputError: a file cannot be read.
    """
    return {f"picture {number}": sha256(file) for number, file in enumerate(files, 1)}


def earlier_outcome(
    folder: RunFolder, files: Sequence[Path], settings: InversionSettings
) -> Outcome | None:
    """The outcome of a finished run of these pictures and settings in the folder, if there is one.

    Raises:
        InputError: the folder holds a finished run of other pictures or with other settings.
    """
    record = earlier_record(
        folder,
        lambda: settings.model_dump(mode="json"),
        lambda: sums_of(files),
        lambda old: {f"picture {i}": each["sha256"] for i, each in enumerate(old["pictures"], 1)},
    )
    if record is None:
        return None
    steps = record["steps"]
    return Outcome(folder.path / GRID, True, steps, steps, record["seconds"])
