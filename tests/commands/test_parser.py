"""Settings and numbers as options of a command line."""

import pytest

from splice.commands.parser import Options, add_settings, chosen_settings, number
from splice.errors import InputError


def test_options_and_pictures_in_any_order():
    parser = _parser()
    for line in (
        "a b --steps 3 --nearest 2",
        "--steps 3 a b --objective.nearest=2",
        "a --steps 3 b --nearest=2",
    ):
        values = parser().parse(line.split())
        assert [str(p) for p in values.pictures] == ["a", "b"]
        settings = chosen_settings(values)
        assert (settings.steps, settings.objective.nearest) == (3, 2.0)


def _parser():
    def make() -> Options:
        parser = Options("x", "y")
        parser.add_argument("pictures", nargs="*")
        add_settings(parser)
        return parser

    return make


def test_settings_with_underscores_are_options_with_dashes_as_well():
    values = _parser()().parse(["--learning-rate", "0.5"])
    assert chosen_settings(values).optimiser.learning_rate == 0.5
    values = _parser()().parse(["--optimiser.learning_rate", "0.25"])
    assert chosen_settings(values).optimiser.learning_rate == 0.25


def test_options_are_not_shortened():
    with pytest.raises(InputError, match="no option --step "):
        _parser()().parse(["--step", "4"])


def test_a_command_can_offer_some_settings_only():
    parser = Options("x", "y")
    add_settings(parser, "backbone", "device")
    assert chosen_settings(parser.parse(["--device", "cpu"])).device == "cpu"
    parser = Options("x", "y")
    add_settings(parser, "backbone", "device")
    with pytest.raises(InputError, match="--steps"):
        parser.parse(["--steps", "3"])


@pytest.mark.parametrize(("text", "whole", "value"), [("3", True, 3), ("0.5", False, 0.5)])
def test_numbers_as_options(text, whole, value):
    assert number(0, whole=whole)(text) == value
