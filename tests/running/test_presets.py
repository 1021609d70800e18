"""Presets and options: what they set, and what is said when one is wrong."""

from pathlib import Path

import pytest
import yaml

from splice.errors import InputError
from splice.method.settings import PAINTING_TERMS, PAPER_TERMS, Settings
from splice.running.presets import load_preset, preset_folder, preset_names
from splice.running.setting_list import find_setting, settings_list

ROOT = Path(__file__).parents[2]


def test_the_default_preset_is_the_defaults():
    assert load_preset() == Settings()


def test_presets_that_the_documentation_names_exist():
    assert preset_names() == ["default", "paper", "quick"]
    for name in preset_names():
        assert isinstance(load_preset(name), Settings)


def test_the_quick_preset_is_the_default_without_steps():
    assert load_preset("quick") == load_preset("default", {"steps": "0"})


def test_the_paper_preset_is_the_paper():
    # Section 4 and appendix of arXiv 2201.00424, and the authors' code for the views.
    paper = load_preset("paper")
    assert paper.backbone == "dino_vitb8"
    assert paper.steps == 2000
    objective = paper.objective
    active = {
        name: getattr(objective, name)
        for name in {*PAINTING_TERMS, *PAPER_TERMS}
        if getattr(objective, name)
    }
    assert active == {"appearance": 1.0, "structure": 0.1, "identity": 0.1}
    assert paper.method == "paper"
    assert objective.cls_depths == (1.0,)
    assert paper.seen.short_side == 224
    assert (paper.optimiser.learning_rate, paper.optimiser.beta1) == (2e-3, 0.0)
    assert paper.optimiser.schedule == ((0.0, 1.0),)
    # Weights are averaged by the default method alone.
    assert paper.generator.average == 0


def test_the_paper_preset_states_all_that_decides_the_result():
    """So that a better default cannot change what the preset `paper` does."""
    stated = set(_paths(yaml.safe_load((preset_folder() / "paper.yaml").read_text())))
    about_the_run = {"weights", "seed", "device", "depth"}
    unused = {
        path
        for path in settings_list()
        if path.startswith(("meaning.", "tones.")) or path in PAINTING_ALONE
    }
    assert set(settings_list()) - unused - about_the_run <= stated


PAINTING_ALONE = {
    "painted",
    "seen.since",
    "objective.token_depths",
    "objective.evenness",
}
"""Settings of the default method that the published one has no use for."""


def test_what_the_default_method_alone_has_changes_nothing_of_the_published_one():
    """A run of it is the same with other values of all the settings that its preset leaves out."""
    import tiny
    import torch

    from splice.method.transfer import Transfer

    def picture(**changes):
        pictures = tiny.picture(40, 56, seed=1), tiny.picture(48, 40, seed=2)
        transfer = Transfer(*pictures, tiny.paper(steps=2, **changes), tiny.frozen())
        for _ in transfer.steps():
            pass
        return transfer.output()

    other = {
        "painted": 32,
        "seen": {"since": 0.5},
        "objective": {"token_depths": (1.0,), "evenness": 0.1},
        "meaning": {"short_side": 32, "channels": 3},
        "tones": {"parts": 2, "temperature": 1.0},
    }
    assert set(_paths(other)) >= PAINTING_ALONE
    assert torch.equal(picture(), picture(**other))


def _paths(values: dict, prefix: str = ""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_a_file_names_only_what_differs(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("steps: 7\nobjective:\n  nearest: 0.5\n")
    settings = load_preset(file)
    assert settings.steps == 7
    assert settings.objective.nearest == 0.5
    # A section given in part keeps the rest.
    unchanged = {"nearest": Settings().objective.nearest}
    assert settings.objective.model_copy(update=unchanged) == Settings().objective


def test_options_win_over_the_preset(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("steps: 7\nseed: 3\n")
    settings = load_preset(file, {"steps": "9"})
    assert (settings.steps, settings.seed) == (9, 3)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("objective.nearest", "1.5", 1.5),
        ("nearest", "1e-3", 1e-3),
        ("compiled", "true", True),
        ("cls_depths", "0.5,1", (0.5, 1.0)),
        ("objective.cls_depths", "0.5", (0.5,)),
        ("optimiser.schedule", "[[0, 1], [0.5, 0]]", ((0.0, 1.0), (0.5, 0.0))),
        ("size", "auto", "auto"),
        ("steps", "auto", "auto"),
        ("steps", "0", 0),
        ("size", "128", 128),
        ("weights", "none", None),
        ("weights", "a/b.pth", "a/b.pth"),
        ("learning_rate", ".01", 0.01),
    ],
)
def test_values_as_text(name, text, value):
    found = load_preset("default", {name: text})
    for part in find_setting(name).path.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": "-1"}, ["--steps", "-1", "0 to 1,000,000", "auto"]),
        ({"steps": "1000001"}, ["--steps", "1000001", "at most 1,000,000"]),
        ({"steps": "many"}, ["--steps", "many", "whole number"]),
        ({"steps": "2.5"}, ["--steps", "2.5", "whole number"]),
        ({"size": "8"}, ["--size", "8", "32 to 2160"]),
        ({"size": "large"}, ["--size", "large", "auto"]),
        ({"seed": "-1"}, ["--seed", "-1", "0"]),
        ({"device": "gpu"}, ["--device", "gpu", "cuda"]),
        ({"precision": "int8"}, ["--precision", "int8", "bf16"]),
        ({"painted": "8"}, ["--painted", "8", "greater than or equal to 32"]),
        ({"painted": "2000"}, ["--painted", "2000", "less than or equal to 1024"]),
        ({"nearest": "nan"}, ["--objective.nearest", "nan", "finite"]),
        ({"nearest": "-1"}, ["--objective.nearest", "-1", "0"]),
        ({"evenness": "1.5"}, ["--objective.evenness", "1.5", "1"]),
        ({"method": "paper"}, ["objective.", "by default", "should be 0 with method paper"]),
        ({"method": "collage"}, ["--method", "collage", "painting", "paper"]),
        ({"compiled": "maybe"}, ["--compiled", "true or false"]),
        ({"schedule": "[[0.5, 1], [0, 2]]"}, ["--optimiser.schedule", "rising"]),
        ({"schedule": "[]"}, ["--optimiser.schedule"]),
        ({"schedule": "[["}, ["--optimiser.schedule", "list"]),
        ({"cls_depths": "0"}, ["--objective.cls_depths", "0"]),
        ({"backbone": "dino_vitb9"}, ["dino_vitb9", "dino_vitb8", "dinov2_vits14"]),
        ({"stepps": "1"}, ["stepps", "steps"]),
        ({"short_side": "64"}, ["short_side", "meaning.short_side", "seen.short_side"]),
    ],
)
def test_wrong_values_are_told_in_one_sentence(changes, words):
    with pytest.raises(InputError) as caught:
        load_preset("default", changes)
    _one_sentence(str(caught.value), words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("stepps: 3\n", ["stepps", "steps"]),
        ("objective:\n  neerest: 1\n", ["objective.neerest", "nearest"]),
        ("objective:\n  nearest: {weight: 1}\n", ["objective.nearest", "number"]),
        ("method: paper\nobjective: {gamut: 1}\n", ["objective.", "0 with method paper"]),
        ("size: 300\nviews: {pool: 3}\n", ["views", "seen"]),
        ("objective: 3\n", ["objective"]),
        ("steps: -3\n", ["steps", "-3"]),
        ("- a\n- b\n", ["name: value"]),
        ("steps: [\n", ["YAML"]),
        ("\x00", ["YAML"]),
        ("!!python/object/apply:os.system [echo pwned]\n", ["YAML"]),
    ],
)
def test_wrong_preset_files_are_told_in_one_sentence(tmp_path, content, words):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(InputError) as caught:
        load_preset(str(file))
    _one_sentence(str(caught.value), ["mine.yaml", *words])


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("defalt", ["defalt", "did you mean default", "paper", "YAML"]),
        ("no/such/file.yaml", ["no/such/file.yaml", "does not exist"]),
        ("hd", ["hd", "default, paper, quick", "YAML"]),
        ("inversion", ["inversion"]),
    ],
)
def test_unknown_presets(preset, words):
    with pytest.raises(InputError) as caught:
        load_preset(preset)
    _one_sentence(str(caught.value), words)


def test_a_folder_is_no_preset(tmp_path):
    (tmp_path / "x.yaml").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        load_preset(tmp_path / "x.yaml")


def _one_sentence(message: str, words: list[str]) -> None:
    for word in words:
        assert word in message, message
    assert "\n" not in message
    assert message.endswith((".", "ID for any ViT of timm"))


def test_the_documentation_lists_the_presets_that_there_are():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = page.partition("## Presets")[2].partition("\n## ")[0].splitlines()
    listed = [row.split("`")[1] for row in rows if row.startswith("| `")]
    assert sorted(listed) == sorted(preset_names())
