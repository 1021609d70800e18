"""The command that paints the same picture without the page."""

import shlex
from collections.abc import Mapping

from splice.method.settings import Settings
from splice.running.presets import DEFAULT_PRESET, load_preset
from splice.running.setting_list import settings_list
from splice.studio.knobs import shown, value_at


def command_line(
    structure: str,
    appearance: str,
    preset: str,
    settings: Settings,
    masks: Mapping[str, str] | None = None,
) -> str:
    """`splice transfer …` with all that differs from the preset, quoted for a shell.

    Args:
        structure: file of the structure image, as whoever types it knows it.
        appearance: likewise.
        preset: a name, or a YAML file.
        settings: of the run.
        masks: files of masks, by "structure" and "appearance".

    Raises:
        InputError: no such preset.
    """
    base = load_preset(preset)
    words = ["splice", "transfer", _file(structure), _file(appearance)]
    if preset != DEFAULT_PRESET:
        words += ["--preset", preset]
    for path in settings_list():
        value = value_at(settings, path)
        if value != value_at(base, path):
            plain = {None: "none", True: "true", False: "false"}
            if value is None or isinstance(value, bool):
                text = plain[value]
            elif value == "auto":  # where the knob of the steps shows a number
                text = value
            else:
                text = shown(settings, path)
            words += [f"--{path.replace('_', '-')}", str(text)]
    for role, file in (masks or {}).items():
        words += [f"--{role}-mask", _file(file)]
    return shlex.join(words)


def _file(name: str) -> str:
    """A name that is not taken for an option."""
    return f"./{name}" if name.startswith("-") else name
