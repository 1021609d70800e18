"""A race: loops that take turns until each has reached given scores, every one on its own clock."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from splice.analysis.scores.metrics import BETTER
from splice.studies.benchmark.stopwatch import synchronise

ALL = "all at once"


class Loop(Protocol):
    """What a contestant runs."""

    def step(self) -> bool:
        """Does one step; false when no step is left."""
        ...

    def picture(self) -> Tensor:
        """The picture so far, 3 x height x width in [0, 1]."""
        ...


@dataclass
class Contestant:
    """A loop with its clock.

    Attributes:
        name: for tables.
        prepare: makes the loop, within the clock.
        seconds: on the clock.
        steps: done.
        reached: each level, and all of them at once, with the seconds and steps that it took.
        best: of each score so far.
        curve: seconds, steps and scores at every scoring.
    """

    name: str
    prepare: Callable[[], Loop]
    seconds: float = 0.0
    steps: int = 0
    reached: dict[str, tuple[float, int]] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    loop: Loop | None = None
    over: bool = False
    due: float = 0.0

    def turn(self, device: torch.device, now: Callable[[], float]) -> None:
        """Prepares at the first turn, then does one step, on the clock."""
        synchronise(device)
        begun = now()
        if self.loop is None:
            self.loop = self.prepare()
        elif self.loop.step():
            self.steps += 1
        else:
            self.over = True
        synchronise(device)
        self.seconds += now() - begun

    def judged(self, scores: Mapping[str, float], levels: Mapping[str, float]) -> None:
        """Notes scores of the picture so far, and which levels they reach for the first time."""
        self.curve.append({"seconds": self.seconds, "steps": self.steps, **scores})
        for name, value in scores.items():
            if name not in self.best or reaches(name, value, self.best[name]):
                self.best[name] = value
        met = [name for name, level in levels.items() if reaches(name, scores[name], level)]
        for name in [*met, *([ALL] if len(met) == len(levels) else [])]:
            self.reached.setdefault(name, (self.seconds, self.steps))


def reaches(score: str, value: float, level: float) -> bool:
    """Whether a value of that score is as good as the level."""
    return value <= level if BETTER[score] == "lower" else value >= level


def race(
    contestants: list[Contestant],
    judge: Callable[[Tensor], Mapping[str, float]],
    levels: Mapping[str, float],
    *,
    limit: float,
    every: float,
    device: torch.device,
    now: Callable[[], float] = time.perf_counter,
    tell: Callable[[str], object] = lambda text: None,
) -> None:
    """Lets contestants run in turns until each has reached all levels at once, or is out of time.

    Args:
        contestants: with their clocks at zero.
        judge: scores of a picture.
        levels: to reach, by score.
        limit: seconds of each clock.
        every: share of the clock between two scorings.
        device: to wait for.
        now: reads the clock.
        tell: is given a line on each scoring.
    """
    while running := [each for each in contestants if not each.over]:
        one = min(running, key=lambda each: each.seconds)
        one.turn(device, now)
        one.over = one.over or one.seconds >= limit
        # Before a first step there is nothing to score, unless there is none to come.
        if one.loop is None or not (one.over or (one.steps and one.seconds >= one.due)):
            continue
        scores = judge(one.loop.picture())
        one.judged(scores, levels)
        one.over = one.over or ALL in one.reached
        one.due = max(one.seconds + 1, one.seconds * (1 + every))
        listed = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        tell(f"{one.name}: {one.seconds:.1f} s, step {one.steps}: {listed}")


def table(contestants: list[Contestant], levels: Mapping[str, float]) -> str:
    """Markdown: a row for each level, and for all at once, with each contestant's seconds."""
    names = [each.name for each in contestants]
    rows = [["level", *names], ["---", *("---:" for _ in names)]]
    for name in (*levels, ALL):
        level = (
            "" if name == ALL else f" {'≤' if BETTER[name] == 'lower' else '≥'} {levels[name]:.4g}"
        )
        rows.append([f"{name}{level}", *(_cell(each, name) for each in contestants)])
    clocks = (f"{each.seconds:,.0f} s, {each.steps:,} steps" for each in contestants)
    rows.append(["on the clock", *clocks])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(contestant: Contestant, name: str) -> str:
    if name in contestant.reached:
        seconds, steps = contestant.reached[name]
        return f"{seconds:,.1f} s (step {steps:,})"
    if name in contestant.best:
        return f"not reached; best {contestant.best[name]:.4g}"
    return "not reached"
