"""Answers to blind sheets, counted."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import blind_sheets
import pytest
from blind_sheets import table_cells, write_answers

from splice.errors import InputError
from splice.studies.report.tally import wilson


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return blind_sheets.program(monkeypatch, "blind_tally")


# Answers.

KEY = {
    1: ("birds/01", "ours"),
    2: ("birds/02", "theirs"),
    3: ("birds/03", "ours"),
    4: ("cats/01", "theirs"),
    5: ("cats/02", "ours"),
}
"""Sheets with their pairs, and whose candidate 1 is."""

ANSWERS = {
    "anna": {1: 1, 2: 2, 3: 2, 4: 1, 5: 0},
    "ben": {1: 1, 2: 1, 3: 2, 4: 1, 5: 2},
    "carl": {1: 2, 2: 2, 3: 0},
}


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    other = {"ours": "theirs", "theirs": "ours"}
    sheets = {
        str(number): {"pair": pair, "1": first, "2": other[first], "ours": "a", "theirs": "b"}
        for number, (pair, first) in KEY.items()
    }
    data = {"format": "splice blind sheets 1", "sheets": sheets}
    (tmp_path / "key.json").write_text(json.dumps(data))
    return tmp_path


def _rows(*judges: str) -> list[tuple]:
    return [
        (sheet, judge, choice, "it is, well, nicer")
        for judge in judges
        for sheet, choice in ANSWERS[judge].items()
    ]


def test_the_tally_is_what_counting_by_hand_gives(tally: ModuleType, answered: Path) -> None:
    """Two files, one with two judges; the untouched table besides.

    Whom the three prefer, o for ours, t for theirs, - for neither:

        sheet 1 (1 is ours):    o o t   won
        sheet 2 (1 is theirs):  o t o   won
        sheet 3 (1 is ours):    t t -   lost
        sheet 4 (1 is theirs):  t t     lost
        sheet 5 (1 is ours):    - t     lost
    """
    write_answers(answered / "answers.csv", [(number, "", "", "") for number in KEY])
    write_answers(answered / "answers-1.csv", _rows("anna", "ben"))
    # As a spreadsheet elsewhere writes it.
    write_answers(answered / "answers-2.csv", _rows("carl"), ";", "utf-8-sig")
    text = tally.count(answered)
    cells = table_cells(text)
    assert list(cells) == ["birds", "cats", "all"]
    # Sheets, won, drawn, lost, share preferred.
    assert cells["birds"][:5] == ["3", "2", "0", "1", "0.67"]
    assert cells["cats"][:5] == ["2", "0", "0", "2", "0.00"]
    assert cells["all"][:5] == ["5", "2", "0", "3", "0.40"]
    low, high = wilson(0.4, 5.0)
    assert cells["all"][5] == f"{low:.2f} to {high:.2f}"
    # Anna and Ben say the same of sheets 1, 3, 4; Anna and Carl of 2; Ben and Carl of none.
    assert cells["all"][6] == f"{(3 + 1 + 0) / (5 + 3 + 3):.2f}"
    # Anna says 0 once, 1 and 2 twice each of five; Ben 1 three times, 2 twice:
    # by chance (2·3 + 2·2) / 25 = 0.4, in truth 3/5, kappa (0.6 - 0.4) / 0.6 = 1/3.
    # Anna of sheets 1 to 3: 1, 2, 2; Carl: 2, 2, 0. By chance (2·2) / 9; in truth 1/3;
    # kappa (1/3 - 4/9) / (5/9) = -1/5.
    # Ben: 1, 1, 2; Carl: 2, 2, 0. By chance (1·2) / 9; in truth 0; kappa (-2/9) / (7/9) = -2/7.
    assert cells["all"][7] == f"{(1 / 3 - 1 / 5 - 2 / 7) / 3:.2f}"
    assert "anna and ben: the same answer to 3 of 5 sheets, kappa 0.33" in text
    assert "anna and carl: the same answer to 1 of 3 sheets, kappa -0.20" in text
    assert "ben and carl: the same answer to 0 of 3 sheets, kappa -0.29" in text
    assert "3 judges, 13 answers, 5 of 5 sheets" in text
    # Of the cats, Anna says 1 and 0, Ben 1 and 2: by chance 1/4, in truth 1/2, kappa 1/3.
    assert cells["cats"][6:] == ["0.50", "0.33"]


def test_draws_count_half(tally: ModuleType, answered: Path) -> None:
    """Sheet 1 is ours, sheet 2 is split, on sheet 3 there is no difference."""
    rows = [(1, "a", 1, ""), (2, "a", 1, ""), (2, "b", 2, ""), (3, "a", 0, "")]
    write_answers(answered / "answers.csv", rows)
    text = tally.count(answered)
    assert table_cells(text)["birds"][:5] == ["3", "1", "2", "0", "0.67"]
    assert "4 answers, 3 of 5 sheets" in text


def test_whoever_agrees_altogether_has_a_kappa_of_one_or_none(
    tally: ModuleType, answered: Path
) -> None:
    answers = [tally.Answer(n, judge, 1 + n % 2) for judge in ("a", "b") for n in range(1, 5)]
    assert tally.agreement(answers) == tally.Agreement(4, 4, 1.0)
    # Had they always said 1, chance would have given the same.
    constant = [tally.Answer(n, judge, 1) for judge in ("a", "b") for n in range(1, 5)]
    assert tally.agreement(constant) == tally.Agreement(4, 4, None)
    assert tally.agreement(constant[:4]) == tally.Agreement(0, 0, None)
    write_answers(answered / "answers.csv", [(1, "a", 1, "")])
    assert table_cells(tally.count(answered))["all"][6:] == ["–", "–"]


def _no_key(folder: Path) -> None:
    (folder / "key.json").unlink()


def _key(content: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "key.json").write_text(content)

    return write


def _table(*rows: tuple) -> Callable[[Path], None]:
    return lambda folder: write_answers(folder / "answers.csv", list(rows))


def _text(content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "answers.csv").write_bytes(content)

    return write


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_no_key, r"key\.json is missing"),
        (_key("{"), r"key\.json is not JSON"),
        (_key("[1]"), r"key\.json is no key of blind sheets"),
        (_key('{"format": "splice blind sheets 1"}'), r"key\.json has been altered"),
        (
            _key('{"format": "splice blind sheets 1", "sheets": {"1": {"pair": "a/b", "1": "x"}}}'),
            r"key\.json has been altered",
        ),
        (lambda folder: (folder / "answers.csv").unlink(), r"holds no answers\*\.csv"),
        (_table(), "no choice is filled in yet"),
        (_table((1, "a", "", "")), "no choice is filled in yet"),
        (_table((1, "a", 1, ""), (2, "a", 3, "")), r"answers\.csv, line 3: choice is 3"),
        (_table((1, "a", "ours", "")), "choice is ours; it should be 1, 2 or 0"),
        (_table((1, " ", 1, "")), "line 2: there is a choice, but no judge"),
        (_table((9, "a", 1, "")), "line 2: there is no sheet 9"),
        (_table(("x", "a", 1, "")), "there is no sheet x"),
        (_table((1, "a", 1, ""), (1, "a", 2, "")), "line 3: a has answered sheet 1 before"),
        (_text(b"sheet,judge,reason\n1,a,nice\n"), r"answers\.csv has no column choice"),
        (_text(b""), r"answers\.csv has no column sheet"),
        (
            _text(b'sheet,judge,choice,reason\n1,a,1,"open\n'),
            r"answers\.csv, line .: unexpected end of",
        ),
        (_text("sheet,judge,choice,reason\n1,é,1,\n".encode("latin-1")), "not text in UTF-8"),
    ],
)
def test_what_cannot_be_counted_is_told_in_a_sentence(
    tally: ModuleType, answered: Path, spoil: Callable[[Path], None], words: str
) -> None:
    write_answers(answered / "answers.csv", _rows("anna"))
    assert tally.count(answered)
    spoil(answered)
    with pytest.raises(InputError, match=words) as caught:
        tally.count(answered)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
