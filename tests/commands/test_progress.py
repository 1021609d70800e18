"""What a command says while it works: a bar, plain lines, or nothing."""

import io

import pytest

from splice.commands.progress import Bar, Lines, Silent, duration, progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (43.2, "43 s"),
        (252.0, "4 min 12 s"),
        (3720.0, "1 h 2 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


class _Terminal(io.StringIO):
    """A stream that keeps what is written, and says whether it is a terminal."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    @property
    def text(self) -> str:
        return self.getvalue()

    def isatty(self) -> bool:
        return self.tty


def _told(stream, quiet: bool = False):
    import stand_in

    told = progress(quiet, stream)
    told.fetching("fetching the weights", 0, 1000)
    told.fetching("fetching the weights", 1000, 1000)
    told.begin(0, 40)
    for step in range(1, 41):
        told.step(stand_in.Step(step, 40, {"structure": 1 / step}, 0.1, False, "float32"))
    told.close()
    told.say("finished")
    return told


def test_progress_on_a_terminal_is_a_bar():
    stream = _Terminal(tty=True)
    assert isinstance(_told(stream), Bar)
    assert "40/40" in stream.text
    assert "structure 0.025" in stream.text
    assert "\r" in stream.text
    assert "finished" in stream.text


def test_progress_elsewhere_is_plain_lines():
    stream = _Terminal(tty=False)
    assert isinstance(_told(stream), Lines)
    lines = stream.text.splitlines()
    assert "\r" not in stream.text
    assert lines[0].startswith("fetching the weights")
    assert lines[1].startswith("step 1/40: ")
    assert lines[-2].startswith("step 40/40, ")
    assert "structure 0.025" in lines[-2]
    assert lines[-1] == "finished"
    assert len(lines) <= 6  # not one a step


def test_time_left_leaves_out_what_the_first_step_prepares():
    import stand_in

    now, stream = 0.0, _Terminal(tty=False)
    told = Lines(stream, clock=lambda: now)
    told.begin(8, 40)
    for step in range(9, 41):
        now += 300.0 if step == 9 else 0.5
        told.step(stand_in.Step(step, 40, {"structure": 1.0}, 0.1, False, "float32"))
    lines = stream.text.splitlines()
    assert lines[0].startswith("step 9/40: ")
    # Twenty of them after the first take 10 s, and 11 more take 5.5.
    assert lines[1].startswith("step 29/40, 5.5 s left")


@pytest.mark.parametrize(("tty", "kind"), [(True, Bar), (False, Lines)])
def test_progress_counts(tty, kind):
    stream = _Terminal(tty=tty)
    told = progress(False, stream)
    for done in range(4):
        told.count(done, 3, "pair")
    told.close()
    assert isinstance(told, kind)
    assert "3/3" in stream.text
    assert "pair" in stream.text


def test_quiet_says_nothing():
    stream = _Terminal(tty=True)
    assert type(_told(stream, quiet=True)) is Silent
    assert stream.text == ""
