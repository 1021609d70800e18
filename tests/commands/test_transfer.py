"""`splice transfer` into files of the user's names, and like pictures that there are."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import stand_in
from PIL import Image
from told import error_line

from splice.analysis.scores.metrics import Scores
from splice.commands.cli import main
from splice.commands.transfer import _ending
from splice.pictures.images import read_image, write_image
from splice.pictures.png_text import read_text, with_text
from splice.running.outcome import Outcome


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    """With the stand-in for the optimisation, as the plumbing alone is tested here."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pair(small, tmp_path) -> tuple[Path, Path]:
    """The two pictures, in a folder of the test's own, under paths that are not absolute."""
    for file in (small.structure, small.appearance):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return Path(small.structure.name), Path(small.appearance.name)


def _transfer(small, *words, steps: int = 2) -> int:
    return main(["transfer", *map(str, words), *small.options, f"--steps={steps}", "--quiet"])


def _like(*words) -> int:
    return main(["transfer", *map(str, words)])


def _names() -> set[str]:
    return {path.name for path in Path().iterdir()}


@pytest.mark.parametrize(
    ("name", "kind"), [("look.jpg", "JPEG"), ("look.webp", "WEBP"), ("Look.TIF", "TIFF")]
)
def test_the_name_of_the_output_says_its_format(small, pair, capsys, name, kind):
    before = _names()
    assert _transfer(small, *pair, "--output", name) == 0
    assert capsys.readouterr().out == f"{name}\n"
    assert _names() == before | {name}
    with Image.open(name) as picture:
        assert (picture.format, picture.size) == (kind, (85, 64))


def test_16_bits_when_asked(small, pair):
    assert _transfer(small, *pair, "--output=deep.png", "--depth=16") == 0
    assert Path("deep.png").read_bytes()[24] == 16
    assert _transfer(small, *pair, "--output=run", "--depth=16") == 0
    assert Path("run/output.png").read_bytes()[24] == 16
    assert _transfer(small, *pair, "--output=plain.png") == 0
    assert Path("plain.png").read_bytes()[24] == 8
    difference = read_image("deep.png") - read_image("plain.png")
    assert difference.abs().max() < 1.01 / 255  # 16 bits are read as 8, cut and not rounded


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--output=look.gif"], ["look.gif", ".png", ".webp"]),
        (["--output=look.jpg", "--depth=16"], ["look.jpg", "--depth 16", ".png"]),
        (["--output=look.jpg", "--depth=12"], ["--depth", "12", "8 or 16"]),
        (["--output=none/look.jpg"], ["none", "create it first"]),
        (["--output=structure.png"], ["structure.png", "the structure image itself"]),
        (["--output=./appearance.jpg"], ["appearance.jpg", "the appearance image itself"]),
        (["--output=notes"], ["notes", "is a file"]),
        (["--like=structure.png"], ["structure.png", "does not say how it was made"]),
        (["--like=nowhere.png"], ["nowhere.png", "does not exist"]),
        (["--like=structure.png", "--preset=quick"], ["--like", "--preset"]),
    ],
)
def test_outputs_and_examples_that_cannot_be(small, pair, capsys, options, words):
    Path("notes").write_text("mine")
    before = _names()
    assert _transfer(small, *pair, *options) == 2
    line = error_line(capsys)
    for word in words:
        assert word in line
    assert _names() == before


def test_a_folder_named_like_a_picture_is_a_folder(small, pair):
    Path("look.png").mkdir()
    assert _transfer(small, *pair, "--output=look.png") == 0
    assert Path("look.png/output.png").is_file()


def test_a_run_is_repeated_from_its_picture_alone(small, pair):
    assert _transfer(small, *pair, "--output=first.png", "--seed=5") == 0
    first = Path("first.png").read_bytes()
    assert _like("--like=first.png", "--output=second.png", "--quiet") == 0
    assert Path("second.png").read_bytes() == first
    assert _like("--like=second.png", "--output=third.png", "--seed=6", "--quiet") == 0
    third = json.loads(read_text("third.png", "Splice") or "")
    assert third["settings"]["seed"] == 6
    assert third["settings"]["steps"] == 2
    assert not np.array_equal(read_image("third.png"), read_image("first.png"))


def test_a_repeated_run_has_a_folder_of_its_own(small, pair, capsys):
    assert _transfer(small, *pair) == 0
    capsys.readouterr()
    name = "outputs/structure--appearance"
    assert _like(f"--like={name}/output.png", "--quiet") == 0
    assert capsys.readouterr().out == f"{name}-2/output.png\n"
    first, second = (Path(f"{name}{suffix}/output.png") for suffix in ("", "-2"))
    assert first.read_bytes() == second.read_bytes()


def test_wrong_options_beside_an_example(small, pair, capsys):
    assert _transfer(small, *pair, "--output=first.png") == 0
    capsys.readouterr()
    assert _like("--like=first.png", "--steps=-3") == 2
    assert "--steps cannot be -3" in error_line(capsys)
    assert _like(pair[0], "--like=first.png") == 2
    assert "two are needed" in error_line(capsys)


def test_a_picture_that_is_gone_or_another_is_told(small, pair, capsys):
    assert _transfer(small, *pair, "--output=first.png") == 0
    capsys.readouterr()
    structure, appearance = pair
    content = structure.read_bytes()
    structure.write_bytes(content + b"\0")
    assert _like("--like=first.png", "--output=second.png") == 2
    line = error_line(capsys)
    for word in ("structure.png is not the structure image of first.png any more", "sha256"):
        assert word in line
    structure.write_bytes(content)
    appearance.rename("moved.jpg")
    assert _like("--like=first.png", "--output=second.png") == 2
    line = error_line(capsys)
    assert "appearance.jpg, the appearance image of first.png, is not there any more" in line
    # The same picture under another name is as good.
    assert _like(structure, "moved.jpg", "--like=first.png", "--output=second.png") == 0
    assert "is not the" not in capsys.readouterr().err
    assert np.array_equal(read_image("second.png"), read_image("first.png"))


def test_other_pictures_with_the_same_settings(small, pair, capsys):
    assert _transfer(small, *pair, "--output=first.png", "--seed=3") == 0
    capsys.readouterr()
    assert _like(*reversed(pair), "--like=first.png", "--output=second.png") == 0
    said = capsys.readouterr().err.splitlines()
    told = [line for line in said if "so the picture will be another." in line]
    assert [line.split(" ")[0] for line in told] == ["appearance.jpg", "structure.png"]
    second = json.loads(read_text("second.png", "Splice") or "")
    assert second["settings"]["seed"] == 3
    assert second["sources"]["structure image"]["file"] == "appearance.jpg"


def test_a_picture_of_another_version_is_told(small, pair, capsys):
    assert _transfer(small, *pair, "--output=first.png") == 0
    recipe = json.loads(read_text("first.png", "Splice") or "")
    content = with_text(
        Path("first.png").read_bytes(), "Splice", json.dumps({**recipe, "version": "0.0.7"})
    )
    Path("first.png").write_bytes(content)
    assert _like("--like=first.png", "--output=second.png") == 0
    assert "first.png was painted by Splice 0.0.7" in capsys.readouterr().err


def test_what_is_not_defined_is_told_in_words(small, capsys):
    """Two pictures that look the same leave no look to be transferred."""
    scores = Scores(0.1, 0.9, float("nan"), 0.02, 1.0, 0.25)
    ending = _ending(Outcome(Path("a/output.png"), True, 3, 3, 1.0, scores), None)
    assert "texture not defined, colour 0.02" in ending
    assert "nan" not in ending
    options = ["--output=look.png", *small.options, "--steps=1"]
    assert main(["transfer", str(small.structure), str(small.structure), *options]) == 0
    assert "texture not defined" in capsys.readouterr().err


def test_a_stopped_run_says_how_to_go_on():
    outcome = Outcome(Path("look.jpg"), False, 3, 9, 1.0)
    assert "--resume --output look.jpg goes on" in _ending(outcome, Path("look.jpg"))
    outcome = Outcome(Path("outputs/a--b/output.png"), False, 3, 9, 1.0)
    assert "--resume --output outputs/a--b goes on" in _ending(outcome, None)


def test_help_names_the_shortest_way(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "splice transfer structure.jpg appearance.jpg --output picture.jpg" in out
    assert main(["transfer", "--help"]) == 0
    out = capsys.readouterr().out
    for word in ("--like PNG", "--depth 8|16", "--output FILE|DIR"):
        assert word in out


def test_a_picture_without_transparency_is_as_it_was(small, pair):
    """The words in the PNG are all that is new."""
    assert _transfer(small, *pair, "--output=first.png") == 0
    image = read_image("first.png")
    write_image("plain.png", image)
    words = read_text("first.png", "Splice")
    assert words is not None
    marked = with_text(Path("plain.png").read_bytes(), "Splice", words)
    assert sorted(_chunks(marked)) == sorted(_chunks(Path("first.png").read_bytes()))


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        found.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + length]))
        place += 12 + length
    return found
