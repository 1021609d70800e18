"""Groups of settings, and how a setting changes over a run."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the changes laid over it, sections within sections as well."""
    result = {**base, **changes}
    for name in base.keys() & changes.keys():
        if isinstance(base[name], Mapping) and isinstance(changes[name], Mapping):
            result[name] = merged(base[name], changes[name])
    return result


class Section(BaseModel):
    """A group of settings: frozen, and deaf to names that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """A section given in part keeps the rest of its default here, not of its class."""
        if not isinstance(values, dict):
            return values
        defaults = {
            name: field.default.model_dump()
            for name, field in cls.model_fields.items()
            if isinstance(field.default, Section)
        }
        return merged({name: defaults[name] for name in values if name in defaults}, values)


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

CONSTANT: Schedule = ((0.0, 1.0),)


def factor_at(schedule: Schedule, progress: float) -> float:
    """The schedule's factor at a progress of the run in [0, 1]."""
    (start, factor), *later = schedule
    for end, next_factor in later:
        if progress < end:
            share = max(0.0, progress - start) / (end - start)
            return factor + share * (next_factor - factor)
        start, factor = end, next_factor
    return factor
