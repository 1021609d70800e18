"""The list of what can be set: every setting with its path, default, possible values and meaning."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from splice.errors import InputError
from splice.method.settings import Section, Settings


@dataclass(frozen=True)
class Setting:
    """One setting: its dotted path, its default, what values it takes, and what it means."""

    path: str
    default: Any
    values: str
    description: str
    is_list: bool


@cache
def settings_list() -> dict[str, Setting]:
    """Every setting by its dotted path, in the order of `Settings`."""
    return {setting.path: setting for setting in _settings(Settings(), "")}


@cache
def short_names() -> dict[str, str]:
    """Every end of a dotted path that names one setting alone, and the path that it names."""
    ends: dict[str, list[str]] = {}
    for path in settings_list():
        parts = path.split(".")
        for start in range(len(parts)):
            ends.setdefault(".".join(parts[start:]), []).append(path)
    whole = {path: path for path in settings_list()}
    return {end: paths[0] for end, paths in ends.items() if len(paths) == 1} | whole


def find_setting(name: str) -> Setting:
    """The setting of that dotted path, or of that end of one.

    Raises:
        InputError: there is none, or more than one, with the nearest.
    """
    path = short_names().get(name)
    if path is not None:
        return settings_list()[path]
    several = [path for path in settings_list() if path.endswith("." + name)]
    if several:
        raise InputError(f"the setting {name} could be {_either(several)}; name one of them.")
    raise InputError(f"there is no setting {name}{nearest(name, short_names())}.")


def nearest(word: str, choices: Iterable[str]) -> str:
    """` (did you mean …?)` with the nearest choices, or nothing where none is near."""
    close = difflib.get_close_matches(word, list(choices), n=3, cutoff=0.6)
    return f" (did you mean {_either(close)}?)" if close else ""


def settings_table() -> list[tuple[str, str, str, str]]:
    """Rows of all settings: path, default, possible values, description."""
    return [
        (setting.path, yaml_text(setting.default), setting.values, setting.description)
        for setting in settings_list().values()
    ]


def yaml_text(value: Any) -> str:
    """A value of a setting as it would stand in a preset, on one line."""
    if isinstance(value, tuple):
        return "[" + ", ".join(yaml_text(part) for part in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _settings(section: Section, prefix: str) -> Iterator[Setting]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            is_list = isinstance(value, tuple)
            description = field.description or ""
            yield Setting(prefix + name, value, _values(field), description, is_list)


def _values(field: FieldInfo) -> str:
    """What a field takes, in words: its choices, or its range."""
    if str(get_origin(field.annotation)) == "typing.Literal":
        return ", ".join(map(str, get_args(field.annotation)))
    bounds = {
        name: getattr(bound, name)
        for bound in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(bound, name, None) is not None
    }
    if field.annotation is bool:
        return "true, false"
    words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    return " ".join(f"{words[name]} {bounds[name]:,}" for name in words if name in bounds)


def _either(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
