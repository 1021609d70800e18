"""What `splice batch` says while it works: one bar over all pairs, plain lines, or nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from typing_extensions import override

from splice.batch.events import Began, Ended, Event, Retried, Stepped
from splice.batch.pace import Pace
from splice.running.durations import duration

if TYPE_CHECKING:
    from typing import TextIO

    from tqdm import tqdm


class BatchSilent:
    """Says nothing but what went wrong; the others say more, in their ways.

    Attributes:
        pace: of the batch.
    """

    def __init__(self, steps: Mapping[str, int], stream: TextIO) -> None:
        """Start.

        Args:
            steps: of each pair, by name.
            stream: to write to.
        """
        self.pace = Pace(steps)
        self._stream = stream

    def add(self, event: Event) -> None:
        """Take an event into account, and show what it changes."""
        self.pace.add(event)
        if isinstance(event, Ended) and event.state == "failed":
            self._say(f"{event.name} failed: {event.reason}")
        elif isinstance(event, Retried):
            self._say(f"{event.name} goes on with another worker: {event.reason}")
        self._show(event)

    def close(self) -> None:
        """No more events follow."""

    def _say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _show(self, event: Event) -> None:
        """After every event."""


class BatchBar(BatchSilent):
    """A bar that is redrawn in place, a few times a second."""

    def __init__(self, steps: Mapping[str, int], stream: TextIO) -> None:
        """Draw the bar, see `BatchSilent`."""
        super().__init__(steps, stream)
        from tqdm import tqdm

        self._bar: tqdm = tqdm(
            total=1.0,
            file=stream,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}%|{bar}| {desc}",
        )
        self._bar.set_description_str(f"0/{self.pace.total} pairs, loading")
        self._shown = 0.0

    @override
    def close(self) -> None:
        self._bar.close()

    @override
    def _say(self, text: str) -> None:
        self._bar.write(text, file=self._stream)

    @override
    def _show(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Stepped) and now - self._shown < 0.2:
            return
        self._shown = now
        self._bar.n = self.pace.done
        self._bar.set_description_str(standing(self.pace) + _at_work(self.pace))


class BatchLines(BatchSilent):
    """Plain lines, for logs: one for every pair that ends, and one every half minute."""

    def __init__(self, steps: Mapping[str, int], stream: TextIO, every: float = 30.0) -> None:
        """Say nothing yet, see `BatchSilent`; `every` counts seconds."""
        super().__init__(steps, stream)
        self._every, self._shown = every, time.monotonic()

    @override
    def _show(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Ended) and event.state == "finished":
            self._say(
                f"{event.name} finished after {duration(event.seconds)}: {standing(self.pace)}"
            )
        elif isinstance(event, (Stepped, Began)) and now - self._shown >= self._every:
            self._say(standing(self.pace) + _at_work(self.pace))
        else:
            return
        self._shown = now


def batch_progress(quiet: bool, steps: Mapping[str, int], stream: TextIO) -> BatchSilent:
    """What fits the stream and the wish for quiet."""
    if quiet:
        return BatchSilent(steps, stream)
    return BatchBar(steps, stream) if stream.isatty() else BatchLines(steps, stream)


def standing(pace: Pace) -> str:
    """How far a batch is, how fast it goes, and how long it will go on, in words."""
    parts = [f"{pace.finished}/{pace.total} pairs"]
    if pace.failed:
        parts.append(f"{pace.failed} failed")
    if pace.pairs_per_hour is not None:
        parts.append(f"{pace.pairs_per_hour:.3g} pairs/h")
    if pace.seconds_left is not None:
        parts.append(f"{duration(pace.seconds_left)} left")
    return ", ".join(parts)


def _at_work(pace: Pace) -> str:
    """The pairs at work, as far as there is room for them."""
    shown = [f"{name} {step}/{steps}" for name, (step, steps) in list(pace.running.items())[:2]]
    rest = len(pace.running) - len(shown)
    return (" · " + ", ".join(shown) if shown else "") + (f", {rest} more" if rest > 0 else "")
