"""A race of several loops is fair, and tells when each level was reached."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from small_transfer import CPU


@pytest.fixture
def racing(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    return importlib.import_module("race")


class FakeLoop:
    """Paints a picture of one number, that falls by a share at each step, on a clock of its own."""

    def __init__(self, clock: list[float], seconds: float, share: float, last: int) -> None:
        self.clock, self.seconds, self.share, self.last = clock, seconds, share, last
        self.value, self.done = 1.0, 0

    def step(self) -> bool:
        if self.done == self.last:
            return False
        self.clock[0] += self.seconds
        self.value *= self.share
        self.done += 1
        return True

    def picture(self) -> torch.Tensor:
        self.clock[0] += 1000  # painting does not count
        return torch.tensor(self.value)


def _race(racing, *loops, levels, limit=1e9):
    clock = [0.0]
    contestants = []
    for number, (preparing, *rest) in enumerate(loops):

        def prepare(preparing=preparing, rest=rest):
            clock[0] += preparing
            return FakeLoop(clock, *rest)

        contestants.append(racing.Contestant(str(number), prepare))
    judge = lambda picture: {"self_sim": float(picture), "dino_i": 1 - float(picture)}  # noqa: E731
    racing.race(
        contestants, judge, levels, limit=limit, every=0.0, device=CPU, now=lambda: clock[0]
    )
    return contestants


def test_a_race_tells_when_each_level_was_reached(racing):
    levels = {"self_sim": 0.3, "dino_i": 0.9}
    fast, slow = _race(racing, (5.0, 2.0, 0.5, 100), (0.0, 10.0, 0.9, 100), levels=levels)
    # 0.5 ** 2 <= 0.3 and 0.5 ** 4 <= 0.1; 0.9 ** 12 <= 0.3 and 0.9 ** 22 <= 0.1.
    assert fast.reached == {"self_sim": (9.0, 2), "dino_i": (13.0, 4), racing.ALL: (13.0, 4)}
    assert slow.reached == {
        "self_sim": (120.0, 12),
        "dino_i": (220.0, 22),
        racing.ALL: (220.0, 22),
    }
    text = racing.table([fast, slow], levels)
    assert "| self_sim ≤ 0.3 | 9.0 s (step 2) | 120.0 s (step 12) |" in text
    assert "| dino_i ≥ 0.9 | 13.0 s (step 4) | 220.0 s (step 22) |" in text


def test_a_race_ends_with_the_steps_or_the_limit(racing):
    ended, stopped = _race(
        racing,
        (0.0, 1.0, 0.9, 10),
        (0.0, 1.0, 0.9, 1000),
        levels={"self_sim": 0.0},
        limit=30.0,
    )
    assert (ended.steps, stopped.steps) == (10, 30)
    assert not ended.reached
    assert ended.best["self_sim"] == pytest.approx(0.9**10)
    assert "not reached; best" in racing.table([ended, stopped], {"self_sim": 0.0})


def test_a_contestant_without_steps_is_scored_as_it_starts(racing):
    """A preset of no steps has a picture, too."""
    still, other = _race(
        racing, (5.0, 1.0, 0.5, 0), (0.0, 1.0, 0.5, 3), levels={"self_sim": 1.0, "dino_i": 0.5}
    )
    assert still.reached == {"self_sim": (5.0, 0)}
    assert (still.steps, still.best["dino_i"]) == (0, 0.0)
    assert other.reached["dino_i"] == (1.0, 1)  # before its first step it is not scored


def test_turns_go_to_the_one_with_least_time(racing):
    quick, slow = _race(
        racing,
        (0.0, 1.0, 0.99, 10_000),
        (0.0, 7.0, 0.99, 10_000),
        levels={"self_sim": 0.0},
        limit=700.0,
    )
    assert (quick.steps, slow.steps) == (700, 100)
