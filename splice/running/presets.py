"""Presets: named settings in YAML, changed by options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from splice.errors import InputError
from splice.method.settings import Settings
from splice.running.setting_list import find_setting, nearest, settings_list, yaml_text

DEFAULT_PRESET = "default"
_SUFFIXES = (".yaml", ".yml")
_REASONS = {
    "int_parsing": "it should be a whole number",
    "int_type": "it should be a whole number",
    "int_from_float": "it should be a whole number",
    "float_parsing": "it should be a number",
    "float_type": "it should be a number",
    "finite_number": "it should be a finite number",
    "bool_parsing": "it should be true or false",
    "bool_type": "it should be true or false",
    "tuple_type": "it should be a list",
    "string_type": "it should be text",
}


def preset_folder() -> Path:
    """Where the presets are: in the installed package, or `configs/` of the source checkout."""
    package = Path(__file__).parents[1]
    installed = package / "presets"
    return installed if installed.is_dir() else package.parent / "configs"


def preset_names() -> list[str]:
    """The names of the presets that come with the package, `default` first."""
    # Those of inversion lie beside them, and have settings of their own.
    names = {p.stem for p in preset_folder().glob("*.yaml") if not p.stem.startswith("inversion")}
    return sorted(names, key=lambda name: (name != DEFAULT_PRESET, name))


def load_preset(
    preset: str | Path = DEFAULT_PRESET, changes: Mapping[str, Any] | None = None
) -> Settings:
    """The settings of a preset, with single ones changed.

    Args:
        preset: a name from `preset_names`, or a YAML file. A file names only what differs from the
            preset `default`.
        changes: values by the dotted path of a setting (`objective.nearest`), or by any end
            of it that names no other (`nearest`). Text is taken as on a command line.

    Raises:
        InputError: no such preset, setting or value, with what would be right.
    """
    file = _preset_file(preset)
    values = read_preset(file)
    changed = {find_setting(name).path: value for name, value in (changes or {}).items()}
    for path, value in changed.items():
        _put(values, path, _from_text(path, value))
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(explanation(error, changed, file)) from None


def change_settings(
    settings: Settings, changes: Mapping[str, Any], source: str, *, are_options: bool = False
) -> Settings:
    """Settings with single ones changed, as `load_preset` changes those of a preset.

    Args:
        settings: to start from; they are left as they are.
        changes: values by the dotted path of a setting, or by any end of it that names no other.
        source: what a message names as the origin of a wrong value.
        are_options: whether the changes came from a command line, and are named so.

    Raises:
        InputError: no such setting or value.
    """
    values = settings.model_dump()
    changed = {find_setting(name).path: value for name, value in changes.items()}
    for path, value in changed.items():
        _put(values, path, _from_text(path, value))
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(explanation(error, changed if are_options else {}, Path(source))) from None


def _preset_file(preset: str | Path) -> Path:
    names = preset_names()
    if isinstance(preset, str) and preset in names:
        return preset_folder() / f"{preset}.yaml"
    path = Path(preset).expanduser()
    if path.suffix.lower() in _SUFFIXES or len(path.parts) > 1:
        return path
    raise InputError(
        f"there is no preset {preset}{nearest(str(preset), names)}; "
        f"the presets are {', '.join(names)}, or give a YAML file."
    )


def read_preset(file: Path) -> dict[str, Any]:
    """What a YAML file sets.

    Raises:
        InputError: it does not exist, cannot be read, or holds something else.
    """
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"the preset {file} does not exist; give a YAML file.") from None
    except OSError as error:
        raise InputError(f"the preset {file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise InputError(f"the preset {file} is not valid YAML{where}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"the preset {file} should hold settings, as lines of 'name: value'.")
    return values


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    *sections, name = path.split(".")
    for section in sections:
        inner = values.get(section)
        values[section] = inner = dict(inner) if isinstance(inner, dict) else {}
        values = inner
    values[name] = value


def _from_text(path: str, value: Any) -> Any:
    """Lists are written `0.5,1` or as in YAML; single values pydantic reads from text itself."""
    setting = settings_list()[path]
    if not isinstance(value, str):
        return value
    if setting.default is None and value == "none":
        return None
    if not setting.is_list:
        return value
    try:
        return yaml.safe_load(value if value.startswith("[") else f"[{value}]")
    except yaml.YAMLError:
        return value


def explanation(error: ValidationError, changed: Mapping[str, Any], file: Path) -> str:
    """The first of pydantic's findings, as one sentence."""
    first = error.errors()[0]
    names = [str(part) for part in first["loc"]]
    setting = _longest_known(names)
    if first["type"] == "extra_forbidden":
        unknown = ".".join(names)
        siblings = _siblings(names)
        return (
            f"{file}: there is no setting {unknown}{nearest(names[-1], siblings)}; "
            f"there are {', '.join(siblings)}."
        )
    where = f"--{setting}" if setting in changed else f"{file}: {setting}"
    reason = _REASONS.get(first["type"]) or (
        first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    )
    if not names:
        return _disagreement(reason, first["input"], changed, file)
    if first["type"] == "model_type":
        return f"{where} should hold settings, as lines of 'name: value' below it."
    value = changed.get(setting, first["input"])
    return f"{where} cannot be {_brief(value)}: {reason[0].lower()}{reason[1:].rstrip('.')}."


def _disagreement(
    reason: str, values: Mapping[str, Any], changed: Mapping[str, Any], file: Path
) -> str:
    """What a check of several settings says, which begins with the one that should be another."""
    setting, _, wanted = reason.partition(" ")
    if setting not in settings_list():
        return f"{file}: {reason[0].lower()}{reason[1:].rstrip('.')}."
    found: Any = values
    for name in setting.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if found is None:
        usual = yaml_text(settings_list()[setting].default)
        return f"{file}: {setting} is {_brief(usual)} by default, and {wanted.rstrip('.')}."
    where = f"--{setting}" if setting in changed else f"{file}: {setting}"
    return f"{where} cannot be {_brief(changed.get(setting, found))}: it {wanted.rstrip('.')}."


def _longest_known(names: list[str]) -> str:
    for end in range(len(names), 0, -1):
        if ".".join(names[:end]) in settings_list():
            return ".".join(names[:end])
    return ".".join(names)


def _siblings(names: list[str]) -> list[str]:
    section: Any = Settings()
    for name in names[:-1]:
        section = getattr(section, name)
    return list(type(section).model_fields)


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "…"
