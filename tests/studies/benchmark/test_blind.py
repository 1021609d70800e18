"""Blind comparisons by eye: sheets that tell nothing, a key that fits them, and answers counted."""

import csv
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import small_run
from PIL import Image

from splice.errors import InputError
from splice.studies.report.tally import wilson

BENCHMARKS = small_run.ROOT / "benchmarks"
COLOURS = {
    "A": (40, 180, 60),
    "B": (230, 200, 40),
    "ours": (220, 60, 40),
    "theirs": (30, 90, 200),
}
NAMES = [f"{kind}/{number:02}" for kind in ("birds", "cats") for number in range(1, 6)]


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("blind")


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("blind_tally")


def _flat(path: Path, colour: tuple[int, int, int], size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        _flat(tmp_path / "pairs" / name / "A" / "a.png", COLOURS["A"], (96, 64))
        _flat(tmp_path / "pairs" / name / "B" / "b.png", COLOURS["B"], (60, 80))
        _flat(tmp_path / "mine" / name / "output.png", COLOURS["ours"], (96, 64))
        kind, _, number = name.partition("/")
        _flat(tmp_path / "published" / kind / "x" / f"{number}.png", COLOURS["theirs"], (45, 30))
    return tmp_path


def _options(blind: ModuleType, root: Path, folder: str = "out", **changes):
    values = {
        "pairs_root": root / "pairs",
        "ours": f"{root}/mine/{{set}}/{{id}}/output.png",
        "theirs": f"{root}/published/{{set}}/x/{{id}}.png",
        "output": root / folder,
    }
    return blind.Sheets(**{**values, **changes})


def _made(blind: ModuleType, root: Path, folder: str = "out", **changes) -> dict[str, dict]:
    blind.main(_options(blind, root, folder, **changes))
    return json.loads((root / folder / "key.json").read_text())["sheets"]


def _order(file: Path) -> list[str]:
    """The pictures on a sheet from left to right, known by their colours."""
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    row = pixels[pixels.shape[0] - 100]  # through all of the pictures, below the labels
    found: list[str] = []
    for pixel in row:
        name = min(COLOURS, key=lambda name: int(np.abs(pixel - COLOURS[name]).sum()))
        near = int(np.abs(pixel - COLOURS[name]).max()) <= 2
        if near and (not found or found[-1] != name):
            found.append(name)
    return found


def test_the_key_says_whose_the_pictures_on_a_sheet_are(blind: ModuleType, root: Path) -> None:
    key = _made(blind, root)
    sheets = sorted((root / "out" / "sheets").iterdir())
    assert [file.name for file in sheets] == [f"{number:02}.png" for number in range(1, 11)]
    for number, file in enumerate(sheets, 1):
        entry = key[str(number)]
        assert _order(file) == ["A", "B", entry["1"], entry["2"]]
        assert Path(entry["ours"]) == root / "mine" / entry["pair"] / "output.png"
    assert sorted(entry["pair"] for entry in key.values()) == NAMES


def test_a_pair_is_on_the_sheet_that_the_key_names(blind: ModuleType, root: Path) -> None:
    """Its structure image alone is grey: the sheet without the colour of the others' A."""
    _flat(root / "pairs" / "cats" / "03" / "A" / "a.png", (128, 128, 128), (96, 64))
    key = _made(blind, root)
    without = [
        str(int(file.stem))
        for file in (root / "out" / "sheets").iterdir()
        if _order(file)[0] != "A"
    ]
    assert [key[number]["pair"] for number in without] == ["cats/03"]


def test_pictures_stand_512_pixels_high_at_the_structures_aspect(
    blind: ModuleType, root: Path
) -> None:
    _made(blind, root, pairs=("birds/02",))
    with Image.open(root / "out" / "sheets" / "01.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    for name, width in (("A", 768), ("B", 384), ("ours", 768), ("theirs", 768)):
        mask = (np.abs(pixels - COLOURS[name]) <= 2).all(-1)
        rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        assert rows[-1] - rows[0] + 1 == 512, name
        assert columns[-1] - columns[0] + 1 == width, name
        assert mask.sum() == 512 * width, name  # nothing is drawn over it
        # A label is drawn above it.
        above = pixels[rows[0] - 40 : rows[0], columns[0] : columns[0] + 40]
        assert (above < 128).any(), name


@pytest.mark.slow
def test_the_order_is_random_by_the_seed(blind: ModuleType, root: Path) -> None:
    first, again = _made(blind, root, "one"), _made(blind, root, "two")
    assert first == again
    orders = set()
    for seed in range(6):
        key = _made(blind, root, f"seed {seed}", seed=seed)
        orders.add(tuple((entry["pair"], entry["1"]) for entry in key.values()))
        # Each system is the first as often as the other, so that a habit favours nobody.
        assert sorted(entry["1"] for entry in key.values()) == ["ours"] * 5 + ["theirs"] * 5
    assert len(orders) == 6


def test_neither_system_comes_first_more_often(blind: ModuleType, root: Path) -> None:
    """Of one pair, and of each place among several."""
    pair = [(pair, {}) for pair in blind.find_pairs(root / "pairs", (), ())]
    alone = [blind.draw_questions(pair[:1], seed)[0].order[0] for seed in range(400)]
    assert 150 < alone.count("ours") < 250
    for place in (0, 4):
        there = [blind.draw_questions(pair[:5], seed)[place] for seed in range(400)]
        assert 150 < [question.order[0] for question in there].count("ours") < 250
        names = [question.pair.name for question in there]
        assert all(40 < names.count(name) < 120 for name in NAMES[:5])


def test_sheets_do_not_tell_whose_a_picture_is(blind: ModuleType, root: Path) -> None:
    """With the same pictures of both systems, a sheet is the same whatever its order."""
    places = {"ours": f"{root}/mine/{{set}}/{{id}}/output.png"}
    places["theirs"] = places["ours"]
    made = {}
    for folder, seed in (("one", 0), ("two", 1)):
        key = _made(blind, root, folder, seed=seed, pairs=("cats/01",), **places)
        made[key["1"]["1"]] = (root / folder / "sheets" / "01.png").read_bytes()
    assert set(made) == {"ours", "theirs"}  # the two seeds give both orders
    assert made["ours"] == made["theirs"]
    for file in (root / "one" / "sheets").iterdir():
        content = file.read_bytes()
        for word in (b"mine", b"published", b"ours", b"theirs", b"cats"):
            assert word not in content
        with Image.open(file) as picture:
            assert not picture.info
    # The key lies outside of what judges are given, and so does all that names a system.
    assert {file.name for file in (root / "one").iterdir()} == {"sheets", "key.json", "answers.csv"}
    table = (root / "one" / "answers.csv").read_text()
    assert table == "sheet,judge,choice,reason\n1,,,\n"


def test_pairs_without_both_pictures_are_left_out_unless_they_are_asked_for(
    blind: ModuleType, root: Path
) -> None:
    (root / "mine" / "cats" / "02" / "output.png").unlink()
    key = _made(blind, root)
    assert sorted(entry["pair"] for entry in key.values()) == sorted(set(NAMES) - {"cats/02"})
    with pytest.raises(InputError, match=r"--ours: of cats/02 there is no picture .*output\.png\."):
        _made(blind, root, "more", pairs=("cats/01", "cats/02"))
    key = _made(blind, root, "more", pairs=("cats/01",))
    assert [entry["pair"] for entry in key.values()] == ["cats/01"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pairs": ("cats/99",)}, "--pairs cats/99: no such pair"),
        ({"ours": "a/{name}.png"}, r"--ours a/\{name\}.png: only \{set\} and \{id\}"),
        ({"theirs": "a/{set}{.png"}, "--theirs"),
        ({"theirs": "a/{set}.png"}, r"--theirs a/\{set\}.png: it should have \{id\}"),
        ({"ours": "nowhere/{id}.png"}, "of no pair there are both nowhere"),
        ({"pairs_root": Path("nowhere")}, "nowhere is not a folder"),
    ],
)
def test_wrong_places_are_told_in_a_sentence(
    blind: ModuleType, root: Path, changes: dict, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        blind.main(_options(blind, root, **changes))
    assert "\n" not in str(caught.value)
    assert not (root / "out").exists()


def test_sheets_are_not_written_over_others(blind: ModuleType, root: Path) -> None:
    _made(blind, root, pairs=("cats/01",))
    before = (root / "out" / "key.json").read_bytes()
    with pytest.raises(InputError, match="holds sheets already"):
        _made(blind, root, seed=1)
    assert (root / "out" / "key.json").read_bytes() == before
    (root / "file").touch()
    with pytest.raises(InputError, match=r"--output .*file is no folder"):
        _made(blind, root, "file")


def test_a_picture_that_is_none_is_named(blind: ModuleType, root: Path) -> None:
    (root / "mine" / "cats" / "01" / "output.png").write_text("no picture")
    with pytest.raises(InputError, match=r"output\.png"):
        _made(blind, root, pairs=("cats/01",))


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


def _write(file: Path, rows: list[tuple], delimiter: str = ",", encoding: str = "utf-8") -> None:
    with file.open("w", newline="", encoding=encoding) as stream:
        table = csv.writer(stream, delimiter=delimiter)
        table.writerows([("sheet", "judge", "choice", "reason"), *rows])


def _rows(*judges: str) -> list[tuple]:
    return [
        (sheet, judge, choice, "it is, well, nicer")
        for judge in judges
        for sheet, choice in ANSWERS[judge].items()
    ]


def _cells(text: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in lines[2:]}


def test_the_tally_is_what_counting_by_hand_gives(tally: ModuleType, answered: Path) -> None:
    """Two files, one with two judges; the untouched table besides.

    Whom the three prefer, o for ours, t for theirs, - for neither:

        sheet 1 (1 is ours):    o o t   won
        sheet 2 (1 is theirs):  o t o   won
        sheet 3 (1 is ours):    t t -   lost
        sheet 4 (1 is theirs):  t t     lost
        sheet 5 (1 is ours):    - t     lost
    """
    _write(answered / "answers.csv", [(number, "", "", "") for number in KEY])
    _write(answered / "answers-1.csv", _rows("anna", "ben"))
    # As a spreadsheet elsewhere writes it.
    _write(answered / "answers-2.csv", _rows("carl"), ";", "utf-8-sig")
    text = tally.count(answered)
    cells = _cells(text)
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
    _write(answered / "answers.csv", rows)
    text = tally.count(answered)
    assert _cells(text)["birds"][:5] == ["3", "1", "2", "0", "0.67"]
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
    _write(answered / "answers.csv", [(1, "a", 1, "")])
    assert _cells(tally.count(answered))["all"][6:] == ["–", "–"]


def _no_key(folder: Path) -> None:
    (folder / "key.json").unlink()


def _key(content: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "key.json").write_text(content)

    return write


def _table(*rows: tuple) -> Callable[[Path], None]:
    return lambda folder: _write(folder / "answers.csv", list(rows))


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
    _write(answered / "answers.csv", _rows("anna"))
    assert tally.count(answered)
    spoil(answered)
    with pytest.raises(InputError, match=words) as caught:
        tally.count(answered)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")


# Measures.


def test_measures_are_compared_with_verdicts(blind: ModuleType, root: Path) -> None:
    """Ours keep the structure image's stripes on three of five pairs, and are flat on two."""
    stripes = np.zeros((64, 96, 3), np.uint8)
    stripes[:, ::4] = stripes[:, 1::4] = 200
    names = NAMES[:5]
    for index, name in enumerate(names):
        kind, _, number = name.partition("/")
        kept = Image.fromarray(255 - stripes // 2)
        flat = Image.new("RGB", (96, 64), (90, 90, 90))
        Image.fromarray(stripes).save(root / "pairs" / name / "A" / "a.png")
        (kept if index < 3 else flat).save(root / "mine" / name / "output.png")
        (flat if index < 3 else kept).save(root / "published" / kind / "x" / f"{number}.png")
    key = _made(blind, root, pairs=tuple(names))

    def choice(entry: dict[str, str], owner: str) -> int:
        return 1 if entry["1"] == owner else 2

    rows = [
        (number, "a", choice(entry, "ours" if names.index(entry["pair"]) < 3 else "theirs"), "")
        for number, entry in key.items()
    ]
    _write(root / "out" / "answers.csv", rows)
    measures = importlib.import_module("blind_measures")
    cells = _cells(measures.measure(root / "out", root / "pairs"))
    assert cells["1 - artefacts"] == ["5", "1.00", "5 of 5"]
    _write(root / "out" / "answers.csv", rows[:2])
    with pytest.raises(InputError, match="answers to 2 sheets; at least 3"):
        measures.measure(root / "out", root / "pairs")


def test_the_correlation_is_pearson_s(blind: ModuleType) -> None:
    measures = importlib.import_module("blind_measures")
    verdicts = [1, -1, 0, 1]
    rows = np.array([[0.3, -0.1, 0.2, -0.2], [1.0, 1.0, 1.0, 1.0], [-1.0, 1.0, 0.0, -1.0]])
    cells = list(_cells(measures.table(verdicts, rows)).values())
    x, y = np.array(verdicts) - 0.25, rows[0] - 0.05
    expected = (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    assert cells[0] == ["4", f"{expected:.2f}", "2 of 3"]
    assert cells[1] == ["4", "–", "2 of 3"]
    assert cells[2] == ["4", "-1.00", "0 of 3"]


@pytest.mark.slow
def test_sheets_and_tally_as_commands(root: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(BENCHMARKS / "blind.py"), *arguments],
            capture_output=True,
            text=True,
            cwd=root,
            env=small_run.environment(),
            check=False,
        )

    done = run(
        *("sheets", "--pairs-root", "pairs", "--ours", "mine/{set}/{id}/output.png"),
        *("--theirs", "published/{set}/x/{id}.png", "--output", "out"),
        *("--pairs", "birds/04", "cats/05", "--seed", "3"),
    )
    assert done.returncode == 0, done.stderr
    assert "wrote 2 sheets to out/sheets" in done.stdout
    key = json.loads((root / "out" / "key.json").read_text())["sheets"]
    rows = [
        (number, "me", next(c for c in "12" if entry[c] == "ours"), "")
        for number, entry in key.items()
    ]
    _write(root / "out" / "answers.csv", rows)
    done = run("tally", "out")
    assert done.returncode == 0, done.stderr
    assert _cells(done.stdout)["all"][:5] == ["2", "2", "0", "0", "1.00"]
    done = run("tally", "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: nowhere/key.json is missing")
    assert len(done.stderr.splitlines()) == 1
