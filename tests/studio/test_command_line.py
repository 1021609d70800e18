"""The command of a picture, read back by the command line itself."""

import shlex

import hypothesis
import pytest
from hypothesis import strategies as st

from splice.commands.parser import Options, add_settings, chosen_settings
from splice.method.settings import Settings
from splice.running.presets import load_preset
from splice.studio.command_line import command_line


def _read(command: str) -> tuple[list[str], Settings]:
    """The files and settings that `splice transfer` makes of it."""
    parser = Options("splice transfer", "")
    parser.add_argument("pictures", nargs="*")
    add_settings(parser)
    words = shlex.split(command)
    assert words[:2] == ["splice", "transfer"]
    values = parser.parse(words[2:])
    return values.pictures, chosen_settings(values)


@pytest.mark.parametrize("preset", ["default", "quick", "paper"])
def test_a_preset_alone_needs_no_options(preset):
    command = command_line("a.jpg", "b.jpg", preset, load_preset(preset))
    assert command == "splice transfer a.jpg b.jpg" + (
        "" if preset == "default" else f" --preset {preset}"
    )


@hypothesis.given(
    st.floats(0, 100, allow_subnormal=False),
    st.floats(1e-9, 1, allow_subnormal=False),
    st.lists(st.floats(0.01, 1), min_size=1, max_size=4),
    st.sampled_from([64, 2160, "auto"]),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_all_that_is_turned_is_read_back_to_the_last_digit(weight, rate, depths, size, seed, flag):
    settings = Settings(
        size=size,
        seed=seed,
        compiled=flag,
        objective={"nearest": weight, "cls_depths": tuple(depths)},  # type: ignore[arg-type]
        optimiser={"learning_rate": rate, "schedule": ((0.0, rate), (1.0, weight))},  # type: ignore[arg-type]
    )
    assert _read(command_line("a.jpg", "b.jpg", "default", settings))[1] == settings


def test_masks_are_named():
    masks = {"structure": "-my mask.png", "appearance": "b-mask.png"}
    command = command_line("a.jpg", "b.jpg", "default", Settings(strength=0.5), masks)
    assert shlex.split(command)[2:] == [
        *("a.jpg", "b.jpg", "--strength", "0.5"),
        *("--structure-mask", "./-my mask.png", "--appearance-mask", "b-mask.png"),
    ]


def test_what_a_preset_has_and_the_run_has_not_is_taken_back():
    base = load_preset("paper")
    settings = base.model_copy(update={"weights": None, "steps": 0})
    assert _read(command_line("a", "b", "paper", settings))[1] == settings


@pytest.mark.parametrize("name", ["my cat.jpg", "it's.png", "-seed.jpg", "$(rm x).jpg", "é;ü.jpg"])
def test_odd_names_stay_one_word_and_no_option(name):
    files, settings = _read(command_line(name, "b.jpg", "default", Settings()))
    assert files == [name if not name.startswith("-") else f"./{name}", "b.jpg"]
    assert settings == Settings()
