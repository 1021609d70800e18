"""Pairs of two files, and of folders of pairs."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pair_files import pair_folder, picture, refusal

from splice.errors import InputError
from splice.pictures.pairs import Pair, pair_of_files, plan_pairs


def test_importing_needs_no_torch() -> None:
    code = "import sys, splice.pictures.pairs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Two files


def test_two_files(tmp_path: Path) -> None:
    structure, appearance = picture(tmp_path / "a cow.png"), picture(tmp_path / "spots.jpg")
    pair = pair_of_files(structure, str(appearance))
    assert pair == Pair("a cow--spots", structure, appearance)
    assert pickle.loads(pickle.dumps(pair)) == pair
    with pytest.raises(InputError, match="does not exist"):
        pair_of_files(structure, tmp_path / "missing.png")


# Pair folders


def test_pair_folder(tmp_path: Path) -> None:
    folder = pair_folder(tmp_path / "stripes")
    (pair,) = plan_pairs(folder).pairs
    assert pair == Pair("stripes", folder / "A" / "horse.jpg", folder / "B" / "zebra.png")


def test_pair_folder_that_is_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pair_folder(tmp_path / "stripes"))
    (pair,) = plan_pairs(".").pairs
    assert pair.name == "stripes" and pair.structure.is_absolute()


def test_folder_of_pair_folders(tmp_path: Path) -> None:
    for name in ("cows", "birds", ".hidden"):
        pair_folder(tmp_path / name)
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("pairs")
    assert [pair.name for pair in plan_pairs(tmp_path).pairs] == ["birds", "cows"]
    assert [pair.name for pair in plan_pairs(tmp_path, count=1).pairs] == ["birds"]


def test_direction(tmp_path: Path) -> None:
    folder = pair_folder(tmp_path / "stripes")
    forth = ("stripes", "horse", "zebra")
    back = ("stripes-BtoA", "zebra", "horse")
    for direction, expected in (("AtoB", [forth]), ("BtoA", [back]), ("both", [forth, back])):
        found = plan_pairs(folder, direction=direction).pairs
        assert [(p.name, p.structure.stem, p.appearance.stem) for p in found] == expected
    assert "AtoB, BtoA, both" in refusal(folder, direction="sideways")


def test_incomplete_pair_folders_are_told_together(tmp_path: Path) -> None:
    pair_folder(tmp_path / "good")
    picture(pair_folder(tmp_path / "crowded") / "A" / "second.png")
    picture(tmp_path / "half" / "A" / "alone.png")
    (pair_folder(tmp_path / "hollow") / "B" / "zebra.png").unlink()
    (pair_folder(tmp_path / "broken") / "B" / "zebra.png").write_text("no picture")
    text = refusal(tmp_path)
    assert text.startswith("4 problems") and len(text.splitlines()) == 5
    for part in ("holds 2 pictures", "no folder B", "holds no pictures", "not a picture"):
        assert part in text
    plan = plan_pairs(tmp_path, skip_bad=True)
    assert [pair.name for pair in plan.pairs] == ["good"] and len(plan.problems) == 4
    assert all(problem in text for problem in plan.problems)


def test_nothing_left_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    (pair_folder(tmp_path / "broken") / "B" / "zebra.png").write_text("no picture")
    assert "not a picture" in refusal(tmp_path, skip_bad=True)


def test_folder_without_anything(tmp_path: Path) -> None:
    text = refusal(tmp_path)
    assert str(tmp_path) in text and "A/" in text and ".csv" in text
    assert "does not exist" in refusal(tmp_path / "absent")
    assert "not a manifest" in refusal(picture(tmp_path / "picture.png"))
