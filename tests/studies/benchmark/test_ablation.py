"""Terms left out in turn: which runs are made, and what is told of them."""

import importlib
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import small_run
import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.method.settings import PAINTING_TERMS
from splice.pictures.images import read_image, write_image
from splice.running.presets import load_preset


@pytest.fixture
def ablation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    return importlib.import_module("ablation")


def test_every_term_that_counts_is_left_out_once(ablation: ModuleType) -> None:
    settings = load_preset("default", {"objective.edges": "0"})
    found = ablation.variants_of(settings, ("generator.average=0",))
    values = settings.objective.model_dump()
    terms = [name for name in PAINTING_TERMS if values[name] > 0]
    assert len(terms) > 3
    assert list(found) == [
        "whole objective",
        *(f"without {name}" for name in terms),
        "generator.average=0",
    ]
    assert "without edges" not in found
    usual = load_preset("default", {}).objective
    for name in terms:
        changed = load_preset("default", found[f"without {name}"]).objective
        assert getattr(changed, name) == 0
        assert changed.model_copy(update={name: getattr(usual, name)}) == usual


def test_the_published_method_lacks_each_of_its_three_terms(ablation: ModuleType) -> None:
    found = ablation.variants_of(load_preset("paper"), ())
    assert list(found) == [
        "whole objective",
        *(f"without {name}" for name in ("appearance", "structure", "identity")),
    ]
    for changes in found.values():
        load_preset("paper", changes)  # allowed by its method


@pytest.mark.slow
def test_runs_with_and_without(
    ablation: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = small_run.make(tmp_path)
    for side, file in (("A", small.structure), ("B", small.appearance)):
        (tmp_path / "pairs" / "set" / "one" / side).mkdir(parents=True)
        file.rename(tmp_path / "pairs" / "set" / "one" / side / file.name)
    preset = tmp_path / "small.yaml"
    preset.write_text(
        f"backbone: timm:test_vit\nweights: {small.weights}\nsteps: 2\nsize: 64\ndevice: cpu\n"
        "seen: {short_side: 64}\nmeaning: {short_side: 64, channels: 8}\n"
        "tones: {parts: 6}\nobjective:\n"
        + "".join(f"  {name}: {int(name == 'colour')}\n" for name in PAINTING_TERMS)
    )
    weights = FrozenViT.load("timm:test_vit", weights=small.weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "FrozenViT", SimpleNamespace(load=lambda name, device: weights))
        options = ablation.Options(
            pairs_root=tmp_path / "pairs",
            pairs=("set/one",),
            save=tmp_path / "saved",
            preset=str(preset),
            also=("generator.average=0",),
            seeds=(0, 1),
        )
        ablation.main(options)
    saved = tmp_path / "saved"
    pictures = {
        path.relative_to(saved).parts[0]: read_image(path)
        for path in saved.glob("*/seed-0/set/one.png")
    }
    assert set(pictures) == {"whole-objective", "without-colour", "generator.average=0"}
    whole = pictures.pop("whole-objective")
    for name, picture in pictures.items():
        assert not torch.equal(picture, whole), name
    assert len(list(saved.glob("*/seed-1/set/one.png"))) == 3
    data = json.loads((saved / "ablation.json").read_text())
    assert list(data["systems"])[:3] == ["whole objective", "without colour", "generator.average=0"]
    assert "whole objective minus" in capsys.readouterr().out
    assert (saved / "ablation.png").is_file() and (saved / "ablation.md").is_file()


def test_unknown_pairs_are_named(ablation: ModuleType, tmp_path: Path) -> None:
    for side in ("A", "B"):
        (tmp_path / "set" / "one" / side).mkdir(parents=True)
        write_image(tmp_path / "set" / "one" / side / "picture.png", torch.rand(3, 32, 32))
    with pytest.raises(InputError, match="--pairs set/none: no such pair in"):
        ablation.chosen_pairs(tmp_path, ("set/none",))
