"""Which pictures the comparison with pairs takes: those that the training's record calls held out."""

import importlib
import json
from pathlib import Path

import pytest
from PIL import Image
from told import assert_one_sentence

from splice.domain.pictures import Domain
from splice.errors import InputError


@pytest.fixture
def scores(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("conditioning_scores")


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in "abcdef":
        _picture(tmp_path / "faces" / f"{name}.png")
    return tmp_path / "faces"


@pytest.fixture
def model(tmp_path) -> Path:
    (tmp_path / "model").mkdir()
    _record(
        tmp_path / "model", {"split": None, "by_folder": {".": 6}, "held_out": ["a.png", "d.png"]}
    )
    return tmp_path / "model"


def _picture(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), "red").save(file)


def _record(model: Path, domain: object) -> None:
    (model / "run.json").write_text(json.dumps({"domain": domain}))


def _names(domain: Domain) -> list[str]:
    return [picture.name for picture in domain.pictures]


def test_what_was_held_out_is_read_from_the_record(scores, folder, model):
    # By the count alone it would be b.png and e.png.
    for place in (model, model / "model.safetensors"):
        found = scores.recorded_part(folder, place, captioned=False)
        assert _names(found) == ["a.png", "d.png"]
    assert scores.recorded_part(folder, folder, captioned=False) is None


def test_the_part_is_the_one_that_was_learnt_from(scores, tmp_path, model):
    for part in ("train", "val"):
        for name in "abc":
            _picture(tmp_path / "cats" / part / f"{name}.png")
    said = {"split": "val", "by_folder": {"val": 3}, "held_out": ["val/b.png"]}
    _record(model, said)
    found = scores.recorded_part(tmp_path / "cats", model, captioned=False)
    assert _names(found) == ["val/b.png"]
    _record(model, {"split": "train", "by_folder": {"train": 3}, "held_out": []})
    found = scores.recorded_part(tmp_path / "cats", model, captioned=False)
    assert _names(found) == ["val/a.png", "val/b.png", "val/c.png"]


def test_a_folder_of_other_pictures_is_refused(scores, folder, model):
    def refused() -> InputError:
        with pytest.raises(InputError) as error:
            scores.recorded_part(folder, model, captioned=False)
        return error.value

    (folder / "a.png").rename(folder / "g.png")
    assert_one_sentence(refused(), "does not hold the 6 pictures", "trained with")
    (folder / "g.png").rename(folder / "a.png")
    _picture(folder / "h.png")
    assert_one_sentence(refused(), "does not hold the 6 pictures")
    (model / "run.json").write_text("{")
    assert_one_sentence(refused(), "run.json is no record of a domain's training")
