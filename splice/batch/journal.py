"""What became of each pair of a batch: a file that only grows, one line of JSON a pair."""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import filelock

from splice.batch.events import Ended, Event
from splice.errors import RunError
from splice.running.outputs import claiming

JOURNAL = "batch.jsonl"
_LOCK = ".batch.lock"


class Journal:
    """The record of a batch in its folder, held by one batch at a time.

    Each line tells how one pair ended: `pair`, `state` (finished, failed, stopped, skipped), `reason`,
    `steps`, `seconds`, `scores`, `worker`, `at` (UTC). Of several lines on a pair, the last counts. A
    line is on the disk before the next pair is told of, so a killed batch loses none.
    """

    def __init__(self, folder: Path) -> None:
        """Create the folder where needed, and hold it.

        Raises:
            InputError: it cannot be written, or another batch holds it.
        """
        self.path = folder / JOURNAL
        with claiming(folder, "batch"):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(folder / _LOCK)
            self._lock.acquire(timeout=0)
            self._file = self.path.open("ab")
            self._end_broken_line()

    def add(self, event: Event) -> None:
        """Record how a pair ended; other events are passed over.

        Raises:
            RunError: writing failed.
        """
        if isinstance(event, Ended):
            fields = {name: value for name, value in asdict(event).items() if value is not None}
            self._write({"pair": fields.pop("name"), **fields})

    def skip(self, problem: str) -> None:
        """Record that something was left out before the batch began."""
        self._write({"pair": None, "state": "skipped", "reason": problem})

    def _write(self, fields: Mapping[str, Any]) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        line = json.dumps(_finite({**fields, "at": now}), ensure_ascii=False)
        try:
            # One write: of two batches' lines, were they ever mixed, each stays whole.
            self._file.write(f"{line}\n".encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RunError(f"{self.path} could not be written ({error.strerror}).") from error

    def _end_broken_line(self) -> None:
        if self._file.tell():
            with self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    self._file.write(b"\n")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *failure: object) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._lock.lock_file)  # noqa: PTH108
        self._lock.release()


def read_journal(folder: Path) -> dict[str, dict[str, Any]]:
    """The last line on each pair of the batch in a folder; empty where there was no batch.

    A line that a kill cut short is passed over.
    """
    try:
        text = (folder / JOURNAL).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    last: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            fields = json.loads(line)
            if isinstance(fields, dict) and isinstance(fields.get("pair"), str):
                last[fields["pair"]] = fields
    return last


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
