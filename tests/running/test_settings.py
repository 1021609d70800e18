"""Settings: how many, how they are written and checked, and what follows from them."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from splice.method.setting_values import MAX_SIZE, factor_at
from splice.method.settings import PAINTING_TERMS, PAPER_TERMS, Settings, merged
from splice.running.presets import load_preset
from splice.running.setting_list import settings_list, yaml_text

ROOT = Path(__file__).parents[2]


def test_settings_are_few():
    assert len(settings_list()) < 40


def test_the_default_size_is_that_of_the_structure_image_as_far_as_sizes_go():
    assert Settings().size == MAX_SIZE


def test_a_section_in_part_keeps_the_rest_in_python_as_well():
    settings = Settings.model_validate({"objective": {"edges": 0.5}})
    assert settings.objective.edges == 0.5
    assert settings.objective.structure == Settings().objective.structure > 0


@pytest.mark.parametrize(
    ("changes", "size", "steps"),
    [
        ({}, (512, 512), 500),
        ({}, (512, 768), 333),  # two thirds
        ({}, (3000, 2000), 333),  # painted as large
        ({}, (512, 1024), 250),
        ({}, (300, 400), 500),  # never more
        ({"size": 256}, (512, 768), 500),
        ({"size": 400}, (1000, 4000), 205),  # 500 · 512² / (400 · 1600)
        ({"size": "auto"}, (512, 768), 333),
        ({"painted": 1024}, (2048, 2048), 125),
        ({"painted": 1024}, (768, 768), 222),  # no larger than it is
        ({"steps": 7}, (512, 768), 7),
        ({"steps": 0}, (512, 768), 0),
        ({"steps": 9.0}, (512, 768), 9),
    ],
)
def test_auto_steps_are_fewer_where_more_is_painted(changes, size, steps):
    settings = Settings.model_validate(changes)
    assert settings.settled(*size).steps == settings.settled(*reversed(size)).steps == steps
    assert settings.settled(*size).step_count == steps
    assert settings.step_count == changes.get("steps", 500)


def test_settings_are_frozen():
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.steps = 3  # type: ignore[misc]


# Nearer to each other, numpy's slopes would overflow.
places = st.integers(0, 10**9).map(lambda place: place / 10**9)
knots = st.lists(
    st.tuples(places, st.floats(0, 10)), min_size=1, max_size=6, unique_by=lambda k: k[0]
).map(sorted)


@given(knots=knots, progress=st.floats(0, 1))
def test_schedules_are_linear_between_their_knots(knots, progress):
    import numpy as np

    expected = np.interp(progress, [k[0] for k in knots], [k[1] for k in knots])
    assert factor_at(tuple(knots), progress) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_step_in_a_schedule_ends_at_its_knot():
    schedule = ((0.0, 1.0), (0.5, 1.0), (0.75, 0.0))
    factors = [factor_at(schedule, p) for p in (0.0, 0.25, 0.5, 0.625, 0.75, 1.0)]
    assert factors == [1, 1, 1, 0.5, 0, 0]


@pytest.mark.parametrize(("method", "own"), [("painting", PAINTING_TERMS), ("paper", PAPER_TERMS)])
def test_a_method_has_its_own_terms_alone(method, own):
    """Terms of the other method are refused, by name, and its own are taken."""
    off = dict.fromkeys({*PAINTING_TERMS, *PAPER_TERMS}, 0.0)
    for name in off:
        values = {"method": method, "objective": {**off, name: 1.0}}
        if name in own:
            assert getattr(Settings.model_validate(values).objective, name) == 1
        else:
            with pytest.raises(ValidationError, match=f"objective.{name} should be 0"):
                Settings.model_validate(values)


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
    from splice.commands.parser import settings_help

    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert settings_help(markdown=True) in page, (
        "docs/settings.md is out of date; the table is what "
        "python -c 'from splice.commands.parser import settings_help; "
        "print(settings_help(True))' prints"
    )


def test_settings_need_no_torch():
    code = (
        "import sys, splice.running.presets, splice.commands.parser; "
        "splice.running.presets.load_preset('quick'); "
        "assert not {'torch', 'timm', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
