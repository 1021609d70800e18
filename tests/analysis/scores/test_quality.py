"""The benchmark of quality: scores beside published ones, means of seeds, and its sheet."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image
from small_scores import made_up, save

from splice.analysis.scores.evaluation import Evaluation
from splice.analysis.scores.metrics import score
from splice.backbones.frozen_vit import FrozenViT
from splice.pictures.images import read_image


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    return importlib.import_module("quality")


@pytest.mark.slow
def test_benchmark_scores_what_is_there_beside_what_was_published(
    quality: ModuleType,
    vit: FrozenViT,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for n, name in enumerate(("00", "01", "02")):
        for side, shift in (("A", 0), ("B", 9)):
            save(tmp_path / "pairs" / "wild" / name / side / "x.png", 40, 56, n + shift)
        save(tmp_path / "published" / "wild" / "wct2" / f"{name}.jpg", 40, 56, n + 30)
    save(tmp_path / "ours" / "wild" / "00" / "output.png", 40, 56, 20)
    save(tmp_path / "ours" / "wild" / "02.png", 40, 56, 21)
    monkeypatch.setattr(quality.FrozenViT, "load", lambda name, device: vit)
    options = quality.Options(
        pairs_root=tmp_path / "pairs",
        published=tmp_path / "published",
        outputs=(f"new={tmp_path / 'ours'}",),
        save=tmp_path / "saved",
    )
    quality.main(options)
    assert "over 2 common pairs" in capsys.readouterr().out
    data = json.loads((tmp_path / "saved" / "quality.json").read_text())["wild"]
    assert data["ours"] == "new"
    assert data["common_pairs"] == ["wild/00", "wild/02"]
    assert list(data["systems"])[:2] == ["new", "wct2"]
    pictures = [tmp_path / "pairs" / "wild" / "02" / side / "x.png" for side in "AB"]
    expected = score(vit, read_image(tmp_path / "ours/wild/02.png"), *map(read_image, pictures))
    assert data["systems"]["new"]["pairs"]["wild/02"]["dino_i"] == pytest.approx(expected.dino_i)
    sheet = read_image(tmp_path / "saved" / "wild.png")
    assert sheet.shape[2] > 4 * 56 / 40 * 180


def test_benchmark_averages_seeds_pair_by_pair(quality: ModuleType) -> None:
    scores = {
        "new, seed 0": made_up([0.1, 0.2], [0.5, 0.5]),
        "new, seed 1": made_up([0.3, 0.6], [0.7, 0.5]),
        "old": made_up([0.9, 0.9], [1.0, 1.0]),
    }
    missing: dict[str, tuple[str, ...]] = dict.fromkeys(scores, ())
    merged = quality.average_seeds(
        Evaluation("judge", scores, missing), {"new": ["new, seed 0", "new, seed 1"]}, "new"
    )
    assert merged.systems == ("new", "old")
    assert merged.ours == "new"
    assert merged.values("new", "colour") == pytest.approx([0.2, 0.4])
    assert merged.values("new", "texture") == pytest.approx([0.6, 0.5])
    assert merged.interval("new", "colour").count == 2


def test_contact_sheet_puts_each_picture_in_its_place(quality: ModuleType) -> None:
    red, blue = Image.new("RGB", (200, 100), "red"), Image.new("RGB", (50, 100), "blue")
    rows = [("first", [red, None]), ("second", [blue, blue])]
    sheet = quality.contact_sheet(iter(rows), ["left", "right"], cell_height=50)
    # Label column 90, cells at least 90 wide, gaps of 4; label row 20.
    assert sheet.size == (90 + 100 + 4 + 90 + 4, 20 + 2 * 54)
    assert sheet.getpixel((90 + 50, 20 + 25)) == (255, 0, 0)
    assert sheet.getpixel((90 + 104 + 12, 20 + 25)) == (255, 255, 255)
    assert sheet.getpixel((90 + 12, 20 + 54 + 25)) == (0, 0, 255)
    assert sheet.getpixel((90 + 104 + 12, 20 + 54 + 25)) == (0, 0, 255)
