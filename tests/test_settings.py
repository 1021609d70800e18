"""Settings: defaults, ranges, presets, overrides, and what is said when one is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from splice.errors import InputError
from splice.presets import (
    find_setting,
    load_preset,
    preset_folder,
    preset_names,
    settings_list,
    yaml_text,
)
from splice.section import merged
from splice.settings import Settings
from splice.terms import Term

ROOT = Path(__file__).parent.parent


def test_the_default_preset_is_the_defaults():
    assert load_preset() == Settings()


def test_presets_that_the_documentation_names_exist():
    assert set(preset_names()) >= {"default", "quick", "hd", "paper"}
    assert preset_names()[0] == "default"
    for name in preset_names():
        assert isinstance(load_preset(name), Settings)


def test_the_paper_preset_is_the_paper():
    # Section 4 and appendix of arXiv 2201.00424, and the authors' code for the views.
    paper = load_preset("paper")
    assert paper.backbone == "dino_vitb8"
    assert paper.steps == 2000
    objective = paper.objective
    active = {
        name: getattr(objective, name).weight
        for name in type(objective).model_fields
        if getattr(getattr(objective, name), "weight", 0)
    }
    assert active == {"appearance": 1.0, "structure": 0.1, "identity": 0.1}
    assert not objective.calibrated
    assert objective.appearance.depths == (1.0,)
    assert (paper.optimiser.learning_rate, paper.optimiser.beta1, paper.optimiser.beta2) == (
        2e-3,
        0.0,
        0.99,
    )
    assert (paper.views.crop, paper.views.flip, paper.views.entire_every) == (0.95, 0.5, 75)


def test_the_paper_preset_states_all_that_decides_the_result():
    """So that a better default cannot change what the preset `paper` does."""
    stated = set(_paths(yaml.safe_load((preset_folder() / "paper.yaml").read_text())))
    paper = load_preset("paper")
    assert paper.generator.input == "image"
    off = [
        f"objective.{name}."
        for name in type(paper.objective).model_fields
        if getattr(getattr(paper.objective, name), "weight", None) == 0
    ]
    # Without semantic input and terms that use it, nothing asks for the meaning of patches.
    unused = {path for path in settings_list() if path.startswith(("meaning.", *off))}
    unused -= {f"{term}weight" for term in off}
    about_the_run = {"weights", "seed", "device"}
    assert set(settings_list()) - unused - about_the_run <= stated


def _paths(values: dict, prefix: str = ""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_a_file_names_only_what_differs(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("steps: 7\nobjective:\n  local: {semantics: 0.5}\n")
    settings = load_preset(file)
    assert settings.steps == 7
    assert settings.objective.local.semantics == 0.5
    # A section given in part keeps the rest, its own weight included.
    assert settings.objective.local.weight == Settings().objective.local.weight
    assert settings.objective.structure == Settings().objective.structure


def test_a_section_in_part_keeps_the_rest_in_python_as_well():
    settings = Settings.model_validate({"objective": {"edges": {"contrast": 0.5}}})
    assert settings.objective.edges.weight == Settings().objective.edges.weight > 0


def test_options_win_over_the_preset(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("steps: 7\nseed: 3\n")
    settings = load_preset(file, {"steps": "9"})
    assert (settings.steps, settings.seed) == (9, 3)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("objective.local.weight", "1.5", 1.5),
        ("local.weight", "1e-3", 1e-3),
        ("calibrated", "false", False),
        ("appearance.depths", "0.5,1", (0.5, 1.0)),
        ("appearance.depths", "0.5", (0.5,)),
        ("structure.schedule", "[[0, 1], [0.5, 0]]", ((0.0, 1.0), (0.5, 0.0))),
        ("size", "auto", "auto"),
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
        ({"steps": "0"}, ["--steps", "0", "greater than or equal to 1"]),
        ({"steps": "many"}, ["--steps", "many", "whole number"]),
        ({"steps": "2.5"}, ["--steps", "2.5", "whole number"]),
        ({"size": "8"}, ["--size", "8", "32 to 2160"]),
        ({"size": "large"}, ["--size", "large", "auto"]),
        ({"seed": "-1"}, ["--seed", "-1", "0"]),
        ({"device": "gpu"}, ["--device", "gpu", "cuda"]),
        ({"precision": "int8"}, ["--precision", "int8", "bf16"]),
        ({"local.weight": "nan"}, ["--objective.local.weight", "nan", "finite"]),
        ({"local.weight": "-1"}, ["--objective.local.weight", "-1", "0"]),
        ({"views.hue": "0.6"}, ["--views.hue", "0.6", "0.5"]),
        ({"closeups.largest": "0.2"}, ["--objective.closeups.largest", "0.2", "0.35"]),
        ({"closeups.smallest": "0.9"}, ["objective.closeups.largest", "0.6", "smallest", "0.9"]),
        ({"calibrated": "maybe"}, ["--objective.calibrated", "true or false"]),
        ({"local.schedule": "[[0.5, 1], [0, 2]]"}, ["--objective.local.schedule", "rising"]),
        ({"local.schedule": "[]"}, ["--objective.local.schedule"]),
        ({"local.schedule": "[["}, ["--objective.local.schedule", "list"]),
        ({"backbone": "dino_vitb9"}, ["dino_vitb9", "dino_vitb8", "dinov2_vits14"]),
        ({"stepps": "1"}, ["stepps", "steps"]),
        ({"weight": "1"}, ["weight", "objective.local.weight", "objective.structure.weight"]),
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
        ("objective:\n  locl: {weight: 1}\n", ["objective.locl", "local"]),
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


def test_settings_are_frozen():
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.steps = 3  # type: ignore[misc]


knots = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 10)), min_size=1, max_size=6, unique_by=lambda k: k[0]
).map(sorted)


@given(knots=knots, progress=st.floats(0, 1), weight=st.floats(0, 100))
def test_schedules_are_linear_between_their_knots(knots, progress, weight):
    import numpy as np

    term = Term(weight=weight, schedule=tuple(knots))
    expected = weight * np.interp(progress, [k[0] for k in knots], [k[1] for k in knots])
    assert term.weight_at(progress) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_step_in_a_schedule_ends_at_its_knot():
    term = Term(weight=2.0, schedule=((0.0, 1.0), (0.5, 1.0), (0.75, 0.0)))
    assert [term.weight_at(p) for p in (0.0, 0.25, 0.5, 0.625, 0.75, 1.0)] == [2, 2, 2, 1, 0, 0]


def test_merged_keeps_what_is_not_changed():
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert merged(base, {"a": {"c": {"d": 4}}, "f": 5}) == {
        "a": {"b": 1, "c": {"d": 4}},
        "e": 3,
        "f": 5,
    }
    assert base["a"] == {"b": 1, "c": {"d": 2}}


def test_every_setting_survives_being_written_as_text():
    """Defaults given back as options, in the text in which they are listed, change nothing."""
    texts = {path: yaml_text(setting.default) for path, setting in settings_list().items()}
    assert load_preset("default", texts) == Settings()


def test_every_setting_is_described():
    for path, setting in settings_list().items():
        assert setting.description, path


def test_the_list_of_settings_in_the_documentation_is_complete():
    from splice.options import settings_help

    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert settings_help(markdown=True) in page, (
        "docs/settings.md is out of date; the table is what "
        "python -c 'from splice.options import settings_help; print(settings_help(True))' prints"
    )


def test_settings_need_no_torch():
    code = (
        "import sys, splice.presets, splice.options; splice.presets.load_preset('quick'); "
        "assert not {'torch', 'timm', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
