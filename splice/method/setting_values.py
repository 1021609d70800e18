"""What values settings take: schedules, depths, weights, sizes, numbers of steps."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

MIN_SIZE, MAX_SIZE = 32, 2160
"""Of a short side, in pixels."""

MOST_STEPS = 1_000_000
"""That can be asked for."""

STEPS, STEPS_SIDE = 500, 512
"""Steps where they are `auto`, and side of the largest square that takes as many, in pixels."""


def _rising(knots: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    progress = [knot[0] for knot in knots]
    if progress != sorted(set(progress)):
        raise ValueError("it should be pairs [progress, factor] in the order of rising progress")
    return knots


Fraction = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0)]
Schedule = Annotated[
    tuple[tuple[Fraction, Factor], ...], Field(min_length=1), AfterValidator(_rising)
]
"""Knots (progress of the run in [0, 1], factor), joined by straight lines, constant outside."""


def factor_at(schedule: Schedule, progress: float) -> float:
    """The schedule's factor at a progress of the run in [0, 1]."""
    (start, factor), *later = schedule
    for end, next_factor in later:
        if progress < end:
            share = max(0.0, progress - start) / (end - start)
            return factor + share * (next_factor - factor)
        start, factor = end, next_factor
    return factor


Depths = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
"""Blocks as fractions of a backbone's depth, 1 being the deepest."""

Weight = Annotated[float, Field(ge=0)]
"""How much a term of the objective counts; 0 leaves it out."""


def _size(value: Any) -> Any:
    if value == "auto":
        return value
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f"it should be pixels, {MIN_SIZE} to {MAX_SIZE}, or auto")
    if not MIN_SIZE <= int(text) <= MAX_SIZE:
        raise ValueError(f"it should be from {MIN_SIZE} to {MAX_SIZE}, or auto")
    return int(text)


def _bits(value: Any) -> Any:
    if str(value).strip() not in ("8", "16"):
        raise ValueError("it should be 8 or 16")
    return int(value)


def _steps(value: Any) -> Any:
    if value == "auto":
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value).strip()):
        raise ValueError(f"it should be a whole number, 0 to {MOST_STEPS:,}, or auto")
    if int(value) > MOST_STEPS:
        raise ValueError(f"it should be at most {MOST_STEPS:,}, or auto")
    return int(value)


Size = Annotated[int | Literal["auto"], BeforeValidator(_size)]
Steps = Annotated[int | Literal["auto"], BeforeValidator(_steps)]
Bits = Annotated[Literal[8, 16], BeforeValidator(_bits)]
