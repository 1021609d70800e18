"""The runs in a folder of outputs, as their own files tell of them."""

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splice.analysis.scores.metrics import BETTER
from splice.batch.journal import read_journal
from splice.errors import InputError
from splice.running.checkpoint import flat
from splice.running.outputs import CHECKPOINT, LOSSES_TABLE, PICTURE, RECORD

_FIXED = ("step", "seconds", "skipped", "precision")


@dataclass(frozen=True)
class RunEntry:
    """One pair of a folder of outputs.

    Attributes:
        name: of the pair: of its folder.
        folder: of the run.
        record: what `run.json` holds; empty where there is none.
        ended: the last line of the batch's journal on the pair; empty where there is none.
    """

    name: str
    folder: Path
    record: Mapping[str, Any]
    ended: Mapping[str, Any]

    @property
    def state(self) -> str:
        """`finished`, `unfinished` (begun, and not failed) or `failed`."""
        if self.record.get("finished"):
            return "finished"
        return "failed" if self.ended.get("state") == "failed" else "unfinished"

    @property
    def reason(self) -> str | None:
        """Why the pair failed."""
        return self.ended.get("reason") if self.state == "failed" else None

    @property
    def output(self) -> Path | None:
        """The picture, or the picture so far."""
        path = self.folder / PICTURE
        return path if path.is_file() else None

    def input(self, role: str) -> Path | None:
        """The file of the `structure` or the `appearance` image, if it is still where it was."""
        file = self.get(role, "file")
        path = Path(file) if isinstance(file, str) and "\0" not in file else None
        return path if path is not None and path.is_file() else None

    @property
    def settings(self) -> dict[str, Any]:
        """Of the run, by dotted path."""
        settings = self.record.get("settings")
        return flat(settings) if isinstance(settings, Mapping) else {}

    @property
    def steps(self) -> int:
        """That the run was asked for; 0 where there is no record yet."""
        return int(_number(self.settings.get("steps")) or 0)

    @property
    def done(self) -> int:
        """Steps that are done."""
        if self.record:
            return int(_number(self.record.get("steps")) or 0)
        return int(max((points[-1][0] for points in self.losses().values() if points), default=0))

    @property
    def seconds(self) -> float | None:
        """That the run took."""
        return _number(self.record.get("seconds"))

    @property
    def scores(self) -> dict[str, float]:
        """Of the output; NaN where one is not defined, and none of what an earlier version lacked."""
        scores = self.record.get("scores")
        if not isinstance(scores, Mapping):
            return {}
        numbers = {name: _number(scores[name]) for name in BETTER if name in scores}
        return {name: math.nan if value is None else value for name, value in numbers.items()}

    def get(self, *keys: str) -> Any:
        """What the record holds under these keys, one within the other; None where nothing is."""
        value: Any = self.record
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def losses(self) -> dict[str, list[tuple[float, float]]]:
        """By term, the points (step, value) of the run; empty where there is no table."""
        try:
            with (self.folder / LOSSES_TABLE).open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            terms = [name for name in (rows[0] if rows else {}) if name not in _FIXED]
            return {
                term: [(float(r["step"]), float(r[term])) for r in rows if r[term]]
                for term in terms
            }
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            return {}


def find_runs(outputs: Path) -> list[RunEntry]:
    """The runs of a folder, in the natural order of their names (2 before 10).

    Args:
        outputs: a folder of runs, as `splice batch` leaves it; or the folder of a single run.

    Raises:
        InputError: there is no such folder, or no run in it.
    """
    if not outputs.is_dir():
        raise InputError(f"{outputs} is not a folder; name one that 'splice batch' has written.")
    if _is_run(outputs):
        return [_entry(outputs, {})]
    ends = read_journal(outputs)
    folders = {path.name: path for path in outputs.iterdir() if _is_run(path)}
    folders |= {name: outputs / name for name in ends if "/" not in name and "\\" not in name}
    entries = [_entry(folder, ends.get(name, {})) for name, folder in folders.items()]
    if not entries:
        raise InputError(
            f"{outputs} holds no runs; name a folder that 'splice batch' or 'splice transfer' has "
            f"written, with {RECORD} in each run's folder."
        )
    return sorted(entries, key=lambda entry: natural(entry.name))


def _is_run(folder: Path) -> bool:
    # A run that was killed has a checkpoint, and no record yet.
    return (folder / RECORD).is_file() or (folder / CHECKPOINT).is_file()


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts names as people do: letters without regard to case, numbers by value."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _entry(folder: Path, ended: Mapping[str, Any]) -> RunEntry:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = {}
    name = folder.resolve().name
    return RunEntry(name, folder, record if isinstance(record, dict) else {}, ended)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
