"""Curves of losses, thinned and drawn as a chart."""

import math
import random

import numpy as np
import pytest

from splice.studies.report.curves import HEIGHT, WIDTH, chart, thinned

# Curves.


def test_a_curve_is_thinned_to_geometric_means():
    generator = random.Random(0)
    points = [(float(step), math.exp(generator.gauss(0, 1))) for step in range(1, 1001)]
    points[10] = (11.0, 0.0)  # has no logarithm
    points[20] = (21.0, math.inf)
    thin = thinned(points, 100)
    good = [point for point in points if 0 < point[1] < math.inf]
    assert len(thin) == 100
    assert thin[0][0] == pytest.approx(np.mean([x for x, _ in good[:10]]))
    assert thin[0][1] == pytest.approx(math.prod(y for _, y in good[:10]) ** (1 / 10))
    # No point is lost and none counts twice.
    sizes = [round(i * 998 / 100) for i in range(101)]
    total = sum(math.log(y) * (b - a) for (_, y), a, b in zip(thin, sizes, sizes[1:], strict=False))
    assert total == pytest.approx(sum(math.log(y) for _, y in good))
    assert thinned(points[:5], 100) == points[:5]


def test_a_chart_is_logarithmic():
    drawn = chart({"a": [(1.0, 100.0), (50.0, 1.0), (100.0, 0.01)], "b": [(1.0, 1.0)], "c": []})
    assert drawn is not None
    (curve,) = drawn.curves
    points = [tuple(map(float, point.split(","))) for point in curve.points.split()]
    assert points == [(WIDTH / 100, 0.0), (WIDTH / 2, HEIGHT / 2), (WIDTH, HEIGHT)]
    assert dict(drawn.rows) == {"0.01": 400, "0.1": 300, "1": 200, "10": 100, "100": 0}
    assert (drawn.steps, curve.last) == (100, 0.01)
    flat = chart({"a": [(1.0, 3.0), (2.0, 3.0)]})
    assert flat is not None
    assert {point.split(",")[1] for point in flat.curves[0].points.split()} == {"200.0"}
    assert chart({"a": [(1.0, -1.0), (2.0, 0.0)]}) is None
