"""How fast a batch goes: pairs per hour, and the time that is left."""

import time
from collections.abc import Callable, Mapping

from splice.batch.events import Began, Ended, Event, Stepped


class Pace:
    """Counts what events tell.

    Speed is measured in steps since the first pair began, so it is known long before the first one
    ends; loading is not counted, work of earlier batches neither.

    Attributes:
        finished: pairs.
        failed: pairs.
        running: by pair at work, its step and steps.
    """

    def __init__(
        self, steps: Mapping[str, int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start without any pair begun.

        Args:
            steps: of each pair, by name.
            clock: tells seconds.
        """
        self._steps, self._clock = {name: _work(count) for name, count in steps.items()}, clock
        self._left = {name: float(count) for name, count in self._steps.items()}
        self._worked = 0.0
        self._pairs_worked = 0.0
        self._begun: float | None = None
        self.finished = self.failed = 0
        self.running: dict[str, tuple[int, int]] = {}

    @property
    def total(self) -> int:
        """All pairs of the batch."""
        return len(self._steps)

    def add(self, event: Event) -> None:
        """Take an event into account."""
        if isinstance(event, Began):
            if self._begun is None:
                self._begun = self._clock()
            # Begun again after its worker was lost: what the loss undid is done twice.
            steps = _work(event.steps)
            self._steps[event.name] = steps
            self._left[event.name] = float(steps - event.step)
            self.running[event.name] = (event.step, steps)
        elif isinstance(event, Stepped):
            self._advance(event.name, event.step)
        elif isinstance(event, Ended):
            if event.state == "finished":
                self._advance(event.name, self._steps[event.name])
            self.finished += event.state == "finished"
            self.failed += event.state == "failed"
            self._left[event.name] = 0.0
            self.running.pop(event.name, None)

    def _advance(self, name: str, step: int) -> None:
        if name in self.running:
            before, steps = self.running[name]
            self.running[name] = (step, steps)
            self._worked += step - before
            self._pairs_worked += (step - before) / steps
            self._left[name] = float(steps - step)

    @property
    def done(self) -> float:
        """The share of the batch that needs no more work, in [0, 1], weighted by steps."""
        total = sum(self._steps.values())
        return 1 - sum(self._left.values()) / total if total else 1.0

    @property
    def pairs_per_hour(self) -> float | None:
        """Pairs per hour, parts of pairs included; None before the first steps."""
        seconds = self.seconds
        return 3600 * self._pairs_worked / seconds if self._pairs_worked and seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Until the end at the present speed; None before the first steps."""
        seconds = self.seconds
        left = sum(self._left.values())
        if left == 0:
            return 0.0
        return left * seconds / self._worked if self._worked and seconds else None

    @property
    def seconds(self) -> float:
        """Since the first pair began."""
        return 0.0 if self._begun is None else self._clock() - self._begun


def _work(steps: int) -> int:
    """What a pair takes: without steps, about what one step takes."""
    return max(1, steps)
