"""What can be turned on the page, which is every setting that decides a picture.

A few knobs are in front; the rest are folded away, in the groups that presets have. What concerns the
machine is for whoever starts the studio: a visitor names no files of its disk, and fetches nothing.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from splice.errors import InputError
from splice.method.settings import Settings
from splice.running.presets import change_settings, load_preset, preset_names
from splice.running.setting_list import Setting, settings_list, yaml_text

FRONT = (
    "size",
    "steps",
    "keep_background",
    "strength",
    "objective.nearest",
    "objective.structure",
    "seed",
)
"""Knobs that everybody understands."""

HOST = ("backbone", "weights", "device", "compiled")
"""Settings of whoever starts the studio."""

SEVERAL_LOOKS = ("look_weights",)
"""Settings of runs with several appearance images; the page has one."""

TITLES = {
    "": "The run",
    "seen": "What the transformer sees",
    "meaning": "Meaning",
    "tones": "Tones",
    "generator": "The network that paints",
    "objective": "What a good picture is",
    "optimiser": "How it learns",
}
"""Of the groups that are folded away, in the order of the page."""

Kind = Literal["switch", "choice", "whole", "number", "text"]


def folded() -> dict[str, list[Setting]]:
    """The settings that are folded away, by group."""
    groups: dict[str, list[Setting]] = {name: [] for name in TITLES}
    for path, setting in settings_list().items():
        if path not in (*FRONT, *HOST, *SEVERAL_LOOKS):
            groups[path.rpartition(".")[0]].append(setting)
    return groups


def all_knobs() -> tuple[str, ...]:
    """The paths of all settings on the page, in its order."""
    return (*FRONT, *(setting.path for group in folded().values() for setting in group))


def kind_of(setting: Setting) -> Kind:
    """By what a setting is turned."""
    if isinstance(setting.default, bool):
        return "switch"
    if isinstance(setting.default, int):
        return "whole"
    if isinstance(setting.default, float):
        return "number"
    return "choice" if isinstance(setting.default, str) and setting.values else "text"


def name_of(setting: Setting) -> str:
    """A setting in words, without its group: `objective.cls_depths` is `cls depths`."""
    return setting.path.rpartition(".")[2].replace("_", " ")


def value_at(settings: Settings, path: str) -> Any:
    """The value of a setting."""
    found: Any = settings
    for name in path.split("."):
        found = getattr(found, name)
    return found


def shown(settings: Settings, path: str) -> Any:
    """The value of a setting as its knob shows it: lists, and sizes, as text; steps as a number."""
    value = settings.step_count if path == "steps" else value_at(settings, path)
    return (
        _list_text(value) if isinstance(value, tuple) else str(value) if path == "size" else value
    )


def chosen(base: Settings, values: Mapping[str, Any]) -> Settings:
    """Settings with the knobs as they stand.

    Args:
        base: of the preset; a knob that still shows its value leaves that as it is, to the last digit.
        values: by path.

    Raises:
        InputError: a value that the setting cannot have, with what would be right.
    """
    for path in values:
        if path in (*HOST, *SEVERAL_LOOKS) or path not in settings_list():
            raise InputError(f"{path} cannot be changed here; it is chosen with 'splice studio'.")
    changes = {path: value for path, value in values.items() if value != shown(base, path)}
    for path, value in changes.items():
        if value is None or value == "":
            usual = yaml_text(settings_list()[path].default)
            raise InputError(f"{path} is empty; its usual value is {usual}.")
    return change_settings(base, changes, "this page")


def start_presets(
    preset: str, changes: Mapping[str, Any], names: list[str] | None = None
) -> dict[str, Settings]:
    """What the page can begin with, by name, the one that was asked for first.

    Args:
        preset: that was asked for: a name, or a YAML file.
        changes: single settings for it, by path. Those of the machine count for all presets.
        names: of the other presets; all that come with the package by default.

    Raises:
        InputError: no such preset, setting or value.
    """
    host = {path: value for path, value in changes.items() if path in (*HOST, "precision")}
    first = {preset: load_preset(preset, changes)}
    others = [name for name in (preset_names() if names is None else names) if name != preset]
    return first | {name: load_preset(name, host) for name in others}


def _list_text(value: tuple[Any, ...]) -> str:
    """A list in full precision, as `[[0.0, 1.0]]`, which presets take as well."""
    return re.sub(r",(?=[\])])", "", str(value).replace("(", "[").replace(")", "]"))
