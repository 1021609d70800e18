"""The line: one at a time, first come first served, and out of it again."""

import threading

import pytest

from splice.errors import RunError
from splice.studio.turns import Turns


class Work:
    """Work that begins when its turn comes, and ends when it is told or stopped."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log
        self.began, self.may_end = threading.Event(), threading.Event()

    def __call__(self, turn) -> None:
        self._log.append(f"{self.name} begins")
        self.began.set()
        while not (self.may_end.wait(0.01) or turn.stopping):
            pass
        self._log.append(f"{self.name} ends")


@pytest.fixture
def turns():
    with Turns(most_waiting=3) as line:
        yield line


def test_one_works_at_a_time_in_the_order_of_asking(turns):
    log: list[str] = []
    works = [Work(name, log) for name in "abc"]
    line = [turns.join(work.name, work) for work in works]
    assert works[0].began.wait(20.0)
    assert [turn.place for turn in line] == [0, 1, 2]
    works[0].may_end.set()
    assert works[1].began.wait(20.0)
    assert [turn.place for turn in line] == [0, 0, 1]
    assert line[0].ended and not line[1].ended
    for work in works:
        work.may_end.set()
    assert line[2].wait(20.0)
    assert log == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]


def test_who_stops_while_waiting_never_begins_and_others_move_up(turns):
    log: list[str] = []
    works = [Work(name, log) for name in "abc"]
    line = [turns.join(work.name, work) for work in works]
    assert works[0].began.wait(20.0)
    line[1].stop()
    assert line[1].ended and line[2].place == 1
    line[0].stop()
    assert works[2].began.wait(20.0)
    works[2].may_end.set()
    assert line[2].wait(20.0)
    assert log == ["a begins", "a ends", "c begins", "c ends"]


def test_nobody_has_two_turns_and_the_line_is_not_endless(turns):
    log: list[str] = []
    first = Work("a", log)
    begun = turns.join("a", first)
    assert first.began.wait(20.0)
    with pytest.raises(RunError, match="on the way already"):
        turns.join("a", Work("a", log))
    for name in "bcd":
        turns.join(name, Work(name, log))
    with pytest.raises(RunError, match="3 others are waiting"):
        turns.join("e", Work("e", log))
    begun.stop()
    assert begun.wait(20.0)
    turns.join("a", Work("a", log))  # whose turn is over may ask again


def test_work_that_raises_does_not_end_the_line():
    seen = []
    hook, threading.excepthook = threading.excepthook, lambda problem: seen.append(problem)
    try:
        with Turns() as turns:
            bad = turns.join("a", lambda turn: 1 / 0)
            good = turns.join("b", lambda turn: None)
            assert bad.wait(20.0) and good.wait(20.0)
    finally:
        threading.excepthook = hook
    assert seen == []


def test_closing_ends_all_and_takes_no_more():
    log: list[str] = []
    works = [Work(name, log) for name in "ab"]
    turns = Turns()
    line = [turns.join(work.name, work) for work in works]
    assert works[0].began.wait(20.0)
    turns.close()
    assert all(turn.ended and turn.left for turn in line)
    assert log == ["a begins", "a ends"]
    with pytest.raises(RunError, match="closing"):
        turns.join("c", Work("c", log))
