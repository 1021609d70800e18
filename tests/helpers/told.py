"""What commands and errors tell."""

import pytest


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a command that failed; nothing else was printed."""
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("splice: error: ") and line.endswith(".")
    return line


def assert_one_sentence(error: BaseException, *mentions: str) -> None:
    text = str(error)
    assert "\n" not in text and text.endswith("."), text
    for mention in mentions:
        assert mention in text, text
