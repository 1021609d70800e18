"""How fast a batch goes, compared with sums by hand."""

import pytest

from splice.batch import Began, Ended, Pace, Retried, Stepped
from splice.commands.batch_progress import standing

# Speed.


def test_pace_counts_pairs_and_time_as_a_hand_would():
    now = [100.0]
    pace = Pace({"a": 100, "b": 100, "c": 200}, clock=lambda: now[0])
    assert pace.pairs_per_hour is None
    assert pace.seconds_left is None
    assert pace.done == 0
    pace.add(Began("a", 0, 100))
    now[0] += 10
    pace.add(Stepped("a", 50))
    # Half a pair in 10 s; 350 steps left at 5 a second.
    assert pace.pairs_per_hour == pytest.approx(180)
    assert pace.seconds_left == pytest.approx(70)
    assert pace.done == pytest.approx(50 / 400)
    pace.add(Ended("a", "finished", 100, 10.0))
    # `b` was half done by an earlier batch: that is not this one's speed.
    pace.add(Began("b", 50, 100))
    now[0] += 10
    pace.add(Stepped("b", 100))
    assert pace.pairs_per_hour == pytest.approx(1.5 * 180)
    assert pace.seconds_left == pytest.approx(200 / (150 / 20))
    pace.add(Ended("b", "failed", 100, 10.0, "no"))
    assert (pace.finished, pace.failed, pace.total) == (1, 1, 3)
    assert pace.running == {}
    assert standing(pace) == "1/3 pairs, 1 failed, 270 pairs/h, 27 s left"
    pace.add(Ended("c", "failed", 0, 0.0, "no"))
    assert pace.seconds_left == 0
    assert pace.done == 1


def test_pace_of_a_pair_that_lost_its_worker():
    now = [0.0]
    pace = Pace({"a": 100}, clock=lambda: now[0])
    pace.add(Began("a", 0, 100))
    now[0] = 10
    pace.add(Stepped("a", 80))
    pace.add(Retried("a", "gone"))
    pace.add(Began("a", 60, 100))
    assert pace.done == pytest.approx(0.6)
    # 40 steps to go, at the 8 a second that the machine has shown.
    assert pace.seconds_left == pytest.approx(5)


def test_pace_of_pairs_without_steps():
    """As the preset `quick` has them: their tones alone are made."""
    now = [0.0]
    pace = Pace({"a": 0, "b": 0}, clock=lambda: now[0])
    pace.add(Began("a", 0, 0))
    now[0] = 10
    pace.add(Ended("a", "finished", 0, 10.0))
    assert (pace.finished, pace.running) == (1, {})
    assert pace.pairs_per_hour == pytest.approx(360)
    pace.add(Began("b", 0, 0))
    now[0] = 20
    pace.add(Ended("b", "finished", 0, 10.0))
    assert (pace.done, pace.seconds_left) == (1, 0)
    assert pace.pairs_per_hour == pytest.approx(360)
