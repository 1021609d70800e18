"""The comparison of conditioning layers: which pairs, which budget, what the table says."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import small_domain
import tiny

from splice.domain.model import new_network
from splice.domain.pictures import DomainPicture
from splice.domain.settings import domain_settings
from splice.errors import InputError


@pytest.fixture
def conditioning(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    return importlib.import_module("conditioning")


def _pictures(count: int) -> list[DomainPicture]:
    # Every third says the same, in other words.
    return [
        DomainPicture(
            Path(f"{n}.png"), f"{n}.png", (f"{n % 3} a ball" if n % 2 else f"a ball {n % 3}",)
        )
        for n in range(count)
    ]


def test_held_out_pairs_are_of_two_pictures_and_distractors_say_something_else(conditioning):
    draw = sys.modules["conditioning_scores"].draw_held_out
    pictures = _pictures(30)
    pairs = draw(pictures, 40, seed=1)
    assert len(pairs) == 40
    assert sorted(pair.structure for pair in pairs[:30]) == list(range(30))
    for pair in pairs:
        assert pair.structure != pair.appearance
        assert len(set(pair.distractors)) == 9
        assert all(place % 3 != pair.appearance % 3 for place in pair.distractors)
    assert draw(pictures, 40, seed=1) == pairs != draw(pictures, 40, seed=2)
    silent = [DomainPicture(Path("a"), "a"), DomainPicture(Path("b"), "b")]
    assert draw(silent, 1, seed=0)[0].distractors == ()
    with pytest.raises(InputError, match="held-out pairs need two pictures"):
        draw(silent[:1], 1, seed=0)


def test_the_table_has_means_over_seeds_and_half_of_their_range(conditioning):
    rows = [
        conditioning.Trained("film", 0, 1000, {"dino_i": 0.5, "colour": 0.1}, 10.0),
        conditioning.Trained("film", 1, 1000, {"dino_i": 0.7, "colour": 0.1}, 14.0),
        conditioning.Trained("affine", 0, 1010, {"dino_i": 0.25, "colour": 0.2}, 9.0),
    ]
    lines = conditioning.table(rows).splitlines()
    assert lines[0] == "| layer | parameters | dino_i | colour | trained in s |"
    assert lines[2] == "| film | 1,000 | 0.6 ± 0.1 | 0.1 ± 0 | 12 |"
    assert lines[3] == "| affine | 1,010 | 0.25 | 0.2 | 9 |"


def test_a_model_off_the_budget_is_not_compared(conditioning):
    budget = domain_settings({"parameters": 100_000})
    with pytest.raises(InputError, match="film has 105,100 parameters, not within 5% of 100,000"):
        conditioning.check_budget("film", 105_100, budget)
    conditioning.check_budget("film", 104_900, budget)
    settings, vit = small_domain.settings(parameters=300_000), tiny.frozen()
    made = new_network(settings, 4 * vit.width, tiny.generator())
    count = sum(weight.numel() for weight in made.parameters())
    assert conditioning.parameters_of(settings, vit) == count


@pytest.mark.parametrize("change", ["layer=film", "seed=3", "steps"])
def test_what_the_comparison_chooses_cannot_be_changed(conditioning, tmp_path, change):
    options = conditioning.Compare(tmp_path, tmp_path, changes=(change,))
    with pytest.raises(InputError, match=r"give NAME=VALUE, of another setting"):
        conditioning.settings_of(options)
    with pytest.raises(InputError, match="--layers fulm"):
        conditioning.settings_of(conditioning.Compare(tmp_path, tmp_path, layers=("fulm",)))


@pytest.mark.slow
def test_layers_are_trained_scored_and_shown(conditioning, tmp_path, capsys):
    small = small_domain.make(tmp_path, train=6, test=12)
    changes = {**small_domain.SMALL, "condition": "text", "parameters": 400_000, "steps": 2}
    changes |= {"backbone": "timm:test_vit", "weights": small.weights, "device": "cpu"}
    options = conditioning.Compare(
        small.folder,
        tmp_path / "save",
        layers=("film", "spatial"),
        changes=tuple(f"{name}={value}" for name, value in changes.items()),
        seeds=(0,),
        pairs=3,
    )
    rows = conditioning.compare(options)
    assert [row.layer for row in rows] == ["film", "spatial"]
    for row in rows:
        assert set(row.scores) == {
            *("self_sim", "dino_i", "texture", "colour", "seconds", "r_precision"),
            *("asked_colour", "asked_pattern", "overlap"),
        }
    assert {path.name for path in (tmp_path / "save").iterdir()} == {
        *("film-0", "spatial-0", "conditioning.md", "conditioning.json", "conditioning.png"),
    }
    assert "| film |" in capsys.readouterr().out
    saved = json.loads((tmp_path / "save" / "conditioning.json").read_text())
    before = (tmp_path / "save" / "film-0" / "model.safetensors").stat().st_mtime_ns
    again = conditioning.compare(options)
    assert (tmp_path / "save" / "film-0" / "model.safetensors").stat().st_mtime_ns == before
    for one, other in zip(saved["models"], again, strict=True):
        assert one["scores"]["colour"] == other.scores["colour"]


def test_a_model_beside_pairs_is_told_by_means_and_medians(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    beside = importlib.import_module("domain_beside_pairs")
    scores = {"self_sim": 0.004, "dino_i": 2.4, "texture": 0.4, "colour": 0.04}
    sums = dict.fromkeys(beside.WAYS, scores)
    seconds = {"structure": [0.0, 0.0, 0.0], "model": [0.1, 9.0, 0.05], "pair": [80.0, 20.0, 40.0]}
    lines = beside.table(sums, seconds).splitlines()
    assert lines[3] == "| model | 0.0013 | 0.8000 | 0.1333 | 0.0133 | 0.100 |"
    assert lines[-1] == "The model is 400 times as fast."
