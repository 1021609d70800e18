"""Losses as the points of a chart: thinned out, on a logarithmic scale, in a box of 0 to 1."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Points = Sequence[tuple[float, float]]

FINEST = 120
"""Points of a curve, at most."""


@dataclass(frozen=True)
class Curve:
    """One term: its name, its points as SVG wants them, and its last value."""

    name: str
    points: str
    last: float


@dataclass(frozen=True)
class Chart:
    """Curves in a box that is 1000 wide and 400 high, x to the right and y down.

    Attributes:
        curves: in the order of the terms.
        rows: values with their heights in the box, for lines across.
        steps: of the right edge.
    """

    curves: tuple[Curve, ...]
    rows: tuple[tuple[str, float], ...]
    steps: int


WIDTH, HEIGHT = 1000, 400


def chart(losses: Mapping[str, Points]) -> Chart | None:
    """The chart of a run's losses; None where no term has two positive values."""
    thin = {name: thinned(points, FINEST) for name, points in losses.items()}
    thin = {name: points for name, points in thin.items() if len(points) > 1}
    if not thin:
        return None
    values = [value for points in thin.values() for _, value in points]
    low, high = math.log10(min(values)), math.log10(max(values))
    if high - low < 0.1:  # a flat line stands in the middle, not at an edge
        low, high = low - 0.5, high + 0.5
    steps = max(points[-1][0] for name, points in losses.items() if name in thin)

    def height(value: float) -> float:
        return round(HEIGHT * (high - math.log10(value)) / (high - low), 1)

    curves = tuple(
        Curve(
            name,
            " ".join(f"{WIDTH * step / steps:.1f},{height(value):.1f}" for step, value in points),
            losses[name][-1][1],
        )
        for name, points in thin.items()
    )
    powers = range(math.ceil(low), math.floor(high) + 1)
    rows = [10.0**power for power in powers] or [min(values), max(values)]
    return Chart(curves, tuple((f"{value:g}", height(value)) for value in rows), int(steps))


def thinned(points: Points, most: int) -> list[tuple[float, float]]:
    """At most `most` points: geometric means of neighbours; values that have no logarithm go."""
    good = [(x, y) for x, y in points if y > 0 and math.isfinite(y)]
    if len(good) <= most:
        return good
    bounds = [round(i * len(good) / most) for i in range(most + 1)]
    groups = (good[start:end] for start, end in pairwise(bounds))
    return [
        (
            sum(x for x, _ in group) / len(group),
            math.exp(sum(math.log(y) for _, y in group) / len(group)),
        )
        for group in groups
    ]
