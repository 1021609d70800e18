"""Schedules against straight lines and numpy's interpolation."""

import numpy as np
import pytest

from splice.method.setting_values import factor_at

# Schedules.


@pytest.mark.parametrize(
    ("progress", "factor"),
    [
        (0.0, 0.1),
        (0.05, 0.1),
        (0.1, 0.1),
        (0.2, 0.55),
        (0.3, 1.0),
        (0.5, 1.0),
        (0.6, 1.0),
        (0.8, 0.5),
        (1.0, 0.0),
    ],
)
def test_schedules_join_their_knots_by_straight_lines(progress, factor):
    schedule = ((0.1, 0.1), (0.3, 1.0), (0.6, 1.0), (1.0, 0.0))
    assert factor_at(schedule, progress) == pytest.approx(factor)


def test_a_schedule_of_one_knot_is_constant():
    assert {factor_at(((0.4, 2.0),), p) for p in (0.0, 0.4, 0.7, 1.0)} == {2.0}


def test_schedules_are_numpys_interpolation():
    schedule = ((0.0, 0.2), (0.13, 1.7), (0.5, 0.0), (0.9, 0.4))
    for progress in np.linspace(0, 1, 101):
        expected = np.interp(progress, *zip(*schedule, strict=True))
        assert factor_at(schedule, float(progress)) == pytest.approx(expected, abs=1e-12)
