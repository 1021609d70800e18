"""What a command says while it works: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from typing_extensions import override

from splice.running.durations import duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from tqdm import tqdm

    from splice.method.step import Step


class Silent:
    """Says nothing; the others say the same things in their ways."""

    def fetching(self, stage: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes of a download called `stage`."""

    def begin(self, first: int, steps: int) -> None:
        """`first` of `steps` steps are done already."""

    def step(self, step: Step) -> None:
        """One more step is done."""

    def count(self, done: int, total: int, unit: str) -> None:
        """`done` of `total` things of some kind are done; the first call has none done."""

    def say(self, text: str) -> None:
        """Something worth a line."""

    def close(self) -> None:
        """No more steps follow."""


class Bar(Silent):
    """A bar that is redrawn in place, with the loss terms and the time left."""

    def __init__(self, stream: TextIO) -> None:
        from tqdm import tqdm

        self._tqdm = tqdm
        self._stream = stream
        self._bar: tqdm | None = None
        self._stage = ""
        self._shown = 0.0

    @override
    def fetching(self, stage: str, done: int, total: int | None) -> None:
        if stage != self._stage or self._bar is None:
            self.close()
            self._stage = stage
            self._bar = self._tqdm(
                total=total, desc=stage, unit="B", unit_scale=True, file=self._stream, leave=False
            )
        self._bar.update(done - self._bar.n)

    @override
    def begin(self, first: int, steps: int) -> None:
        self.close()
        self._bar = self._tqdm(
            total=steps, initial=first, unit="step", file=self._stream, dynamic_ncols=True
        )

    @override
    def step(self, step: Step) -> None:
        assert self._bar is not None
        if step.note:
            self.say(step.note)
        now = time.monotonic()
        # Reading the losses makes a GPU wait, so they are shown twice a second, not every step.
        if now - self._shown >= 0.5 or step.step == step.steps:
            self._shown = now
            self._bar.set_postfix_str(_terms(step), refresh=False)
        self._bar.update()

    @override
    def count(self, done: int, total: int, unit: str) -> None:
        if done == 0 or self._bar is None:
            self.close()
            self._bar = self._tqdm(total=total, unit=unit, file=self._stream, dynamic_ncols=True)
        self._bar.update(done - self._bar.n)

    @override
    def say(self, text: str) -> None:
        self._tqdm.write(text, file=self._stream)

    @override
    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Lines(Silent):
    """Plain lines, for logs: the first step, the last, and one every few seconds."""

    def __init__(
        self,
        stream: TextIO,
        every: float = 10.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._every, self._clock = stream, every, clock
        self._stage = ""
        self._first = 0
        self._begun = self._shown = 0.0

    @override
    def fetching(self, stage: str, done: int, total: int | None) -> None:
        if stage != self._stage:
            self._stage = stage
            self.say(f"{stage}{f', {total / 1e6:.0f} MB' if total else ''}")

    @override
    def begin(self, first: int, steps: int) -> None:
        self._first = first

    @override
    def step(self, step: Step) -> None:
        if step.note:
            self.say(step.note)
        now = self._clock()
        done, remain = step.step - self._first, step.steps - step.step
        if done <= 1:
            # The first step prepares much that the others have from it.
            self._begun = now
        elif remain and now - self._shown < self._every:
            return
        self._shown = now
        left = f", {duration((now - self._begun) / (done - 1) * remain)} left" if done > 1 else ""
        self.say(f"step {step.step}/{step.steps}{left}: {_terms(step)}")

    @override
    def count(self, done: int, total: int, unit: str) -> None:
        now = self._clock()
        if done == 0:
            self._shown = now
        elif done == total or now - self._shown >= self._every:
            self._shown = now
            self.say(f"{unit} {done}/{total}")

    @override
    def say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


def progress(quiet: bool, stream: TextIO | None = None) -> Silent:
    """What fits the stream (the standard error by default) and the wish for quiet."""
    if stream is None:
        stream = sys.stderr
    if quiet or stream is None:
        return Silent()
    return Bar(stream) if stream.isatty() else Lines(stream)


def show(text: str) -> None:
    """A result, on the standard output."""
    sys.stdout.write(f"{text}\n")


def _terms(step: Step) -> str:
    return ", ".join(f"{name} {float(value):.3g}" for name, value in step.losses.items())
