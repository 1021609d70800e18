"""Knobs: every setting once, to and fro without loss, wrong values in one sentence."""

import pytest

from splice.errors import InputError
from splice.method.settings import Settings
from splice.running.presets import load_preset
from splice.running.setting_list import settings_list
from splice.studio.knobs import (
    FRONT,
    HOST,
    SEVERAL_LOOKS,
    all_knobs,
    chosen,
    folded,
    shown,
    start_presets,
)


def test_every_setting_is_on_the_page_once_but_those_of_the_machine():
    assert sorted((*all_knobs(), *HOST, *SEVERAL_LOOKS)) == sorted(settings_list())
    assert set(folded()) == {path.rpartition(".")[0] for path in settings_list()}


@pytest.mark.parametrize("preset", ["default", "quick", "paper"])
def test_knobs_left_alone_leave_the_settings_alone(preset):
    settings = load_preset(preset)
    assert chosen(settings, {path: shown(settings, path) for path in all_knobs()}) == settings


def test_knobs_that_show_another_preset_give_its_settings():
    base, other = (
        load_preset("default"),
        load_preset("default", {"optimiser.schedule": "[[0, 0.3]]"}),
    )
    other = Settings.model_validate(
        {**other.model_dump(), "optimiser": {"learning_rate": 1 / 3, "schedule": ((0.0, 1 / 7),)}}
    )
    assert chosen(base, {path: shown(other, path) for path in all_knobs()}) == other


def test_steps_that_nobody_turns_stay_what_they_are():
    assert shown(Settings(), "steps") == Settings().step_count
    assert chosen(Settings(), {"steps": Settings().step_count}).steps == "auto"
    assert chosen(Settings(), {"steps": 200}).steps == 200


def test_what_is_turned_is_changed():
    turned = {"size": "720", "objective.nearest": 7, "objective.cls_depths": "[0.5, 1]"}
    settings = chosen(Settings(), turned)
    assert (settings.size, settings.objective.nearest) == (720, 7.0)
    assert settings.objective.cls_depths == (0.5, 1.0)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("size", "31", "this page: size cannot be 31: it should be from 32 to 2160, or auto."),
        ("steps", None, "steps is empty; its usual value is auto."),
        ("objective.cls_depths", "", "objective.cls_depths is empty; its usual value is"),
        ("tones.parts", 0, "this page: tones.parts cannot be 0: it should be greater than"),
        ("method", "paper", "this page: objective.nearest cannot be 5.0: it should be 0 with"),
        ("weights", "/etc/passwd", "weights cannot be changed here; it is chosen with 'splice st"),
        ("look_weights", "[1]", "look_weights cannot be changed here"),
        ("strength", 2, "this page: strength cannot be 2: it should be less than or equal to 1."),
        ("device", "cuda", "device cannot be changed here"),
        ("nonsense", 1, "nonsense cannot be changed here"),
    ],
)
def test_a_wrong_value_is_told_in_a_sentence(path, value, said):
    with pytest.raises(InputError) as caught:
        chosen(Settings(), {path: value})
    assert str(caught.value).startswith(said)


def test_the_first_preset_has_all_changes_and_the_others_those_of_the_machine():
    found = start_presets("quick", {"device": "cpu", "size": "64"})
    assert list(found) == ["quick", "default", "paper"]
    assert found["quick"] == load_preset("quick", {"device": "cpu", "size": 64})
    assert found["default"] == Settings(device="cpu")
    assert found["paper"] == load_preset("paper", {"device": "cpu"})


def test_a_preset_of_ones_own_comes_first(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("steps: 9\n")
    found = start_presets(str(own), {})
    assert list(found) == [str(own), "default", "paper", "quick"]
    assert found[str(own)] == Settings(steps=9)


def test_the_front_knobs_are_settings():
    assert set(FRONT) <= set(settings_list())
