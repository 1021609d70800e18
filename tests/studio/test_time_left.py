"""Time left, compared with sums by hand."""

import pytest

from splice.studio.time_left import REMEMBERED, UNSEEN, TimeLeft


def _kind(step: int) -> str:
    return "short" if step < 4 else "long"


def test_nothing_is_said_before_the_first_step():
    assert TimeLeft(_kind, 0, 10).seconds() is None


def test_kinds_are_added_up_and_unseen_ones_guessed():
    clock = TimeLeft(_kind, 0, 10)
    clock.add(1, 2.0)
    clock.add(2, 4.0)
    assert clock.seconds() == pytest.approx(2 * 3 + 6 * UNSEEN * 3)
    for step in (3, 4):
        clock.add(step, 3.0)
    clock.add(5, 10.0)
    assert clock.seconds() == pytest.approx(5 * 10)
    for step in range(6, 11):
        clock.add(step, 10.0)
    assert clock.seconds() == 0


def test_a_resumed_run_counts_what_is_left_alone():
    clock = TimeLeft(_kind, 7, 10)
    clock.add(8, 5.0)
    assert clock.seconds() == pytest.approx(10)


def test_a_machine_that_got_slower_is_believed():
    clock = TimeLeft(lambda step: "all", 0, 100)
    for step in range(1, 51):
        clock.add(step, 1.0)
    for step in range(51, 51 + REMEMBERED):
        clock.add(step, 9.0)
    assert clock.seconds() == pytest.approx((50 - REMEMBERED) * 9)
