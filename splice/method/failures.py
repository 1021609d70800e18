"""Steps whose loss or gradient was not finite, told without making the host wait for a GPU.

A GPU works on steps that the host has long queued, and whoever asks it for a number waits until the
queue is empty. So what became of a step is copied to the host when the GPU gets there, and is looked
at a few steps later.
"""

from collections import deque
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

LATE = 4
"""Steps of a GPU after which the host looks at what became of one; so many are queued at most."""


@dataclass(frozen=True)
class Outcome:
    """Whether a step taught anything; `bool` of it waits until this is known."""

    finite: Bool[Tensor, ""]
    known: torch.cuda.Event | None = None

    @classmethod
    def of(cls, finite: Bool[Tensor, ""]) -> "Outcome":
        """The outcome of a step whose loss and gradients are finite or not, on any device."""
        if finite.device.type != "cuda":
            return cls(finite)
        host, known = finite.to("cpu", non_blocking=True), torch.cuda.Event()
        known.record(torch.cuda.current_stream(finite.device))
        return cls(host, known)

    def __bool__(self) -> bool:
        """Whether loss and gradients were finite."""
        if self.known is not None:
            self.known.synchronize()
        return bool(self.finite)


class FailedSteps:
    """Counts the steps in a row that taught nothing.

    Attributes:
        late: steps that an outcome waits to be looked at.
        in_a_row: as far as outcomes have been looked at.
    """

    def __init__(self, device: torch.device) -> None:
        """Nothing has failed yet.

        Args:
            device: of the run; a CPU's outcomes are looked at at once.
        """
        self.late, self.in_a_row = LATE if device.type == "cuda" else 0, 0
        self._unread: deque[Outcome] = deque()

    def add(self, outcome: Outcome) -> None:
        """Notes the outcome of one more step, and looks at those that are late enough."""
        self._unread.append(outcome)
        self._read(self.late)

    def read(self) -> None:
        """Looks at all outcomes, and waits for them."""
        self._read(0)

    def _read(self, left: int) -> None:
        while len(self._unread) > left:
            self.in_a_row = 0 if self._unread.popleft() else self.in_a_row + 1
