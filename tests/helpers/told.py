"""What a command tells."""

import pytest


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a command that failed; nothing else was printed."""
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("splice: error: ") and line.endswith(".")
    return line
