"""The time to a quality: levels, and a whole race of real loops."""

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny  # noqa: F401  (of the gamut it takes few samples)
import torch

from splice.errors import InputError

# Time to quality.


@pytest.fixture
def quality(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    sys.modules.pop("time_to_quality", None)
    return pytest.importorskip("time_to_quality")


def test_levels_come_from_a_picture_or_from_numbers(quality, tmp_path):
    judge = lambda picture: {"self_sim": float(picture.mean()), "colour": 0.5}  # noqa: E731
    from splice.pictures.images import write_image

    target = tmp_path / "target.png"
    write_image(target, torch.full((3, 32, 32), 1.0))
    assert quality.read_levels((), target, judge) == {"self_sim": 1.0, "colour": 0.5}
    assert quality.read_levels(("colour=0.1", "dino_i=0.9"), target, judge) == {
        "self_sim": 1.0,
        "dino_i": 0.9,
        "colour": 0.1,
    }
    for wrong in ((), ("layout=1",), ("colour",), ("colour=red",)):
        with pytest.raises(InputError, match="level"):
            quality.read_levels(wrong, None, judge)


@pytest.mark.slow
def test_a_whole_race_of_real_loops(quality, small, tmp_path, capsys, monkeypatch):
    preset = tmp_path / "small.yaml"
    preset.write_text(
        f"backbone: timm:test_vit\nweights: {small.weights}\nsteps: 3\n"
        "seen: {short_side: 64}\n"
        "meaning: {short_side: 64, channels: 8}\ntones: {parts: 6}\n"
    )
    clock = itertools.count(0.0, 0.25)  # so long does every turn seem to take
    monkeypatch.setitem(quality.CLOCKS, "wall", lambda: next(clock))
    file = tmp_path / "race.json"
    options = quality.Options(
        small.structure,
        small.appearance,
        levels=("self_sim=4", "colour=0"),
        preset=str(preset),
        steps=(2, 3),
        limit_seconds=3.0,
        size=64,
        device="cpu",
        save=tmp_path / "pictures",
        json=file,
    )
    quality.main(options)
    data = json.loads(file.read_text())
    assert len(data["contestants"]) == 3
    # A turn prepares, a last one of ours finds no step left, and twelve turns make three seconds.
    assert [each["steps"] for each in data["contestants"]] == [2, 3, 11]
    for each in data["contestants"]:
        assert "self_sim" in each["reached"]
        assert "colour" not in each["reached"]
        assert each["curve"][-1]["steps"] == each["steps"]
    assert len(list((tmp_path / "pictures").iterdir())) == 3
    assert "not reached; best" in capsys.readouterr().out
