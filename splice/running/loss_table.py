"""The losses of a run, step by step, as they go to a table, a figure and a checkpoint."""

import csv
import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from splice.method.step import Step

_FIXED = ("step", "seconds", "skipped", "precision")
_PRECISIONS = ("float32", "bfloat16", "float16")


class LossTable:
    """One row a step: its number, seconds, whether it was skipped, precision, and every loss.

    Losses may be tensors on a device. They are read in bulk, and only when the table is asked
    for, so that recording a step never waits for the device.
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._pending: list[Step] = []

    def add(self, step: "Step") -> None:
        """Record one step."""
        self._pending.append(step)

    def __len__(self) -> int:
        return len(self._rows) + len(self._pending)

    @property
    def rows(self) -> list[dict[str, float]]:
        """Every step recorded, first to last; `precision` is an index, losses go by their names."""
        tensors = [
            value.detach()
            for step in self._pending
            for value in step.losses.values()
            if isinstance(value, Tensor)
        ]
        read = iter(
            torch.stack([t.double().reshape(()) for t in tensors]).tolist() if tensors else []
        )
        for step in self._pending:
            losses = {
                name: next(read) if isinstance(value, Tensor) else float(value)
                for name, value in step.losses.items()
            }
            fixed = {
                "step": float(step.step),
                "seconds": float(step.seconds),
                "skipped": float(step.skipped),
                "precision": float(_PRECISIONS.index(step.precision)),
            }
            self._rows.append(fixed | losses)
        self._pending.clear()
        return self._rows

    @property
    def terms(self) -> list[str]:
        """The names of the losses, in the order of their first appearance."""
        return [
            name
            for name in dict.fromkeys(n for row in self.rows for n in row)
            if name not in _FIXED
        ]

    def curves(self) -> dict[str, list[float]]:
        """Every loss over the steps; NaN where a step had none of that name."""
        rows = self.rows
        return {name: [row.get(name, math.nan) for row in rows] for name in self.terms}

    def last(self) -> dict[str, float]:
        """Every loss at the last step that had it; terms may take turns."""
        terms = self.terms
        return {name: next(r[name] for r in reversed(self.rows) if name in r) for name in terms}

    def steps(self) -> list[int]:
        """The number of each step recorded."""
        return [int(row["step"]) for row in self.rows]

    def seconds(self) -> float:
        """Seconds of all steps together."""
        return math.fsum(row["seconds"] for row in self.rows)

    def skipped(self) -> int:
        """How many steps were skipped because a loss or gradient was not finite."""
        return sum(int(row["skipped"]) for row in self.rows)

    def precision(self) -> str | None:
        """The precision of the last step."""
        return _PRECISIONS[int(self.rows[-1]["precision"])] if self.rows else None

    def csv(self) -> str:
        """The table as comma-separated values, with a line of names; absent losses are empty."""
        terms = self.terms
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*_FIXED, *terms])
        for row in self.rows:
            writer.writerow(
                [
                    int(row["step"]),
                    f"{row['seconds']:.4f}",
                    int(row["skipped"]),
                    _PRECISIONS[int(row["precision"])],
                    *(f"{row[name]:.6g}" if name in row else "" for name in terms),
                ]
            )
        return text.getvalue()

    def state(self) -> dict[str, Any]:
        """All rows, for a checkpoint: a float64 tensor (steps, columns) and the columns' names."""
        columns = [*_FIXED, *self.terms]
        table = [[row.get(name, math.nan) for name in columns] for row in self.rows]
        values = torch.tensor(table, dtype=torch.float64).reshape(len(table), len(columns))
        present = [[name in row for name in columns] for row in self.rows]
        return {
            "losses": values,
            "losses_present": torch.tensor(present, dtype=torch.bool).reshape(values.shape),
            "losses_columns": columns,
        }

    @staticmethod
    def restored(state: Mapping[str, Any]) -> "LossTable":
        """The table that `state` was taken of."""
        table = LossTable()
        columns: list[str] = state["losses_columns"]
        rows = zip(state["losses"].tolist(), state["losses_present"].tolist(), strict=True)
        for values, present in rows:
            cells = zip(columns, values, present, strict=True)
            table._rows.append({name: value for name, value, there in cells if there})
        return table
