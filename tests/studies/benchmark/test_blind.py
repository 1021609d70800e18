"""Blind sheets that tell nothing, and a key that fits them."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import small_run
from blind_sheets import (
    BENCHMARKS,
    COLOURS,
    NAMES,
    made_sheets,
    sheet_options,
    table_cells,
    write_answers,
)
from pair_files import flat_picture
from PIL import Image

from splice.errors import InputError


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
    key = made_sheets(blind, root)
    sheets = sorted((root / "out" / "sheets").iterdir())
    assert [file.name for file in sheets] == [f"{number:02}.png" for number in range(1, 11)]
    for number, file in enumerate(sheets, 1):
        entry = key[str(number)]
        assert _order(file) == ["A", "B", entry["1"], entry["2"]]
        assert Path(entry["ours"]) == root / "mine" / entry["pair"] / "output.png"
    assert sorted(entry["pair"] for entry in key.values()) == NAMES


def test_a_pair_is_on_the_sheet_that_the_key_names(blind: ModuleType, root: Path) -> None:
    """Its structure image alone is grey: the sheet without the colour of the others' A."""
    flat_picture(root / "pairs" / "cats" / "03" / "A" / "a.png", (128, 128, 128), (96, 64))
    key = made_sheets(blind, root)
    without = [
        str(int(file.stem))
        for file in (root / "out" / "sheets").iterdir()
        if _order(file)[0] != "A"
    ]
    assert [key[number]["pair"] for number in without] == ["cats/03"]


def test_pictures_stand_512_pixels_high_at_the_structures_aspect(
    blind: ModuleType, root: Path
) -> None:
    made_sheets(blind, root, pairs=("birds/02",))
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
    first, again = made_sheets(blind, root, "one"), made_sheets(blind, root, "two")
    assert first == again
    orders = set()
    for seed in range(6):
        key = made_sheets(blind, root, f"seed {seed}", seed=seed)
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
        key = made_sheets(blind, root, folder, seed=seed, pairs=("cats/01",), **places)
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
    key = made_sheets(blind, root)
    assert sorted(entry["pair"] for entry in key.values()) == sorted(set(NAMES) - {"cats/02"})
    with pytest.raises(InputError, match=r"--ours: of cats/02 there is no picture .*output\.png\."):
        made_sheets(blind, root, "more", pairs=("cats/01", "cats/02"))
    key = made_sheets(blind, root, "more", pairs=("cats/01",))
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
        blind.main(sheet_options(blind, root, **changes))
    assert "\n" not in str(caught.value)
    assert not (root / "out").exists()


def test_sheets_are_not_written_over_others(blind: ModuleType, root: Path) -> None:
    made_sheets(blind, root, pairs=("cats/01",))
    before = (root / "out" / "key.json").read_bytes()
    with pytest.raises(InputError, match="holds sheets already"):
        made_sheets(blind, root, seed=1)
    assert (root / "out" / "key.json").read_bytes() == before
    (root / "file").touch()
    with pytest.raises(InputError, match=r"--output .*file is no folder"):
        made_sheets(blind, root, "file")


def test_a_picture_that_is_none_is_named(blind: ModuleType, root: Path) -> None:
    (root / "mine" / "cats" / "01" / "output.png").write_text("no picture")
    with pytest.raises(InputError, match=r"output\.png"):
        made_sheets(blind, root, pairs=("cats/01",))


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
    write_answers(root / "out" / "answers.csv", rows)
    done = run("tally", "out")
    assert done.returncode == 0, done.stderr
    assert table_cells(done.stdout)["all"][:5] == ["2", "2", "0", "0", "1.00"]
    done = run("tally", "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: nowhere/key.json is missing")
    assert len(done.stderr.splitlines()) == 1
