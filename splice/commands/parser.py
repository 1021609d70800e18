"""Command lines whose mistakes are explained in one sentence, and settings as options."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from splice.errors import InputError
from splice.method.settings import Settings
from splice.running.presets import DEFAULT_PRESET, load_preset
from splice.running.setting_list import nearest, settings_list, settings_table, short_names

_PREFIX = "setting "
_WIDTH = 96
_KINDS = {"int": "a whole number", "float": "a number"}


class Options(argparse.ArgumentParser):
    """The options of one command.

    Options and arguments may come in any order, no option may be shortened, and every mistake is
    an `InputError` of one sentence. Every command has `--quiet` and `--debug`.
    """

    def __init__(self, program: str, description: str, *, usage: str | None = None) -> None:
        """Start without options; those that every command has come last.

        Args:
            program: how the command was called, for its help.
            description: one sentence on what it does.
            usage: its arguments and options in short; derived from the options by default.
        """
        super().__init__(
            prog=program,
            description=description,
            usage=None if usage is None else _wrapped(f"{program} {usage}"),
            allow_abbrev=False,
            add_help=False,
            formatter_class=_Formatter,
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The values of a command line.

        Raises:
            InputError: an unknown option, a missing or wrong value, an argument too many.
        """
        general = self.add_argument_group("general")
        general.add_argument("--quiet", action="store_true", help="no progress")
        general.add_argument("--debug", action="store_true", help="show where an error arose")
        general.add_argument("-h", "--help", action="help", help="show this help")
        values, unknown = self.parse_known_intermixed_args(list(arguments))
        for word in unknown:
            if word.startswith("-") and len(word) > 1:
                option = word.split("=")[0]
                raise InputError(
                    f"there is no option {option}{nearest(option, self._visible())}; "
                    f"'{self.prog} --help' lists them."
                )
        if unknown:
            raise InputError(
                f"'{unknown[0]}' is one argument too many; '{self.prog} --help' shows the usage."
            )
        return values

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found as an `InputError`."""
        raise InputError(_sentence(message))

    def _visible(self) -> list[str]:
        return [name for name in self._option_string_actions if not name.endswith("_")]


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=_WIDTH)


def add_settings(parser: Options, *names: str) -> None:
    """Make settings options: the named ones with a line of help, unless none is named.

    Args:
        parser: of the command.
        names: top-level settings to offer. With none, all settings are offered, those below the
            top level by their dotted path or any end of it that names no other setting, and
            `--preset` and `--help-settings` come with them.
    """
    group = parser.add_argument_group("settings")
    if not names:
        group.add_argument(
            "--preset",
            metavar="NAME|FILE",
            default=DEFAULT_PRESET,
            help="default, quick, paper, or a YAML file",
        )
        group.add_argument(
            "--help-settings",
            action=_HelpSettings,
            help="list every setting of a preset; each is an option as well",
        )
    for path, setting in settings_list().items():
        top = "." not in path
        if names and path not in names:
            continue
        group.add_argument(
            *_option_names(path),
            dest=_PREFIX + path,
            nargs="+" if path in _SEVERAL else None,
            default=argparse.SUPPRESS,
            metavar=_METAVARS.get(path, "VALUE"),
            help=setting.description.replace("%", "%%") if top else argparse.SUPPRESS,
        )


_SEVERAL = ("look_weights",)
"""Settings whose values may be words of their own."""

_METAVARS = {
    "look_weights": "W",
    "strength": "S",
    "backbone": "NAME",
    "weights": "FILE",
    "size": "PX|auto",
    "painted": "PX",
    "steps": "N|auto",
    "seed": "N",
    "device": "NAME",
    "precision": "NAME",
    "depth": "8|16",
}


def chosen_settings(values: argparse.Namespace) -> Settings:
    """The settings of a command line: those of its preset, changed by its options.

    Raises:
        InputError: an unknown preset, or a value that a setting cannot have.
    """
    return load_preset(getattr(values, "preset", None) or DEFAULT_PRESET, changes(values))


def changes(values: argparse.Namespace) -> Mapping[str, str]:
    """The settings that were given as options, by their dotted path."""
    return {
        name.removeprefix(_PREFIX): ",".join(value) if isinstance(value, list) else value
        for name, value in vars(values).items()
        if name.startswith(_PREFIX)
    }


def settings_help(markdown: bool = False) -> str:
    """The list of all settings, for a terminal or as a table of Markdown."""
    if markdown:
        rows = [("setting", "default", "values", "meaning"), ("---",) * 4]
        rows += [(f"`{path}`", f"`{default}`", *rest) for path, default, *rest in settings_table()]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)
    lines = []
    for path, default, values, description in settings_table():
        lines.append(f"--{path} {default}\n    {description}{f' ({values})' if values else ''}\n")
    return "".join(lines)


class _HelpSettings(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **rest: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **rest)

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> None:
        parser._print_message(
            "Every setting with its default. Each is a key of presets, and an option by its "
            "name\nor by any end of it that names no other (--nearest 4).\n\n" + settings_help(),
            sys.stdout,
        )
        parser.exit()


def _option_names(path: str) -> list[str]:
    names = [path] + [end for end, whole in short_names().items() if whole == path and end != path]
    names += [name.replace("_", "-") for name in names if "_" in name]
    return ["--" + name for name in names]


def _wrapped(usage: str) -> str:
    lines = textwrap.wrap(usage, _WIDTH - 7, subsequent_indent=" " * 7, break_on_hyphens=False)
    return "\n".join(lines).replace("%", "%%")


def _sentence(message: str) -> str:
    """What argparse says, in the words of this project."""
    if match := re.fullmatch(r"argument ([^:]+): expected (one|at least one) argument", message):
        return f"{_option(match[1])} needs a value."
    if match := re.fullmatch(r"argument ([^:]+): expected (\d+) arguments", message):
        return f"{_option(match[1])} needs {match[2]} values."
    if match := re.fullmatch(r"argument ([^:]+): invalid choice: '?(.*?)'? \((.*)\)", message):
        return f"{_option(match[1])} cannot be {match[2]}: {match[3].replace(chr(39), '')}."
    if match := re.fullmatch(r"argument ([^:]+): invalid (\w+) value: '(.*)'", message):
        kind = _KINDS.get(match[2], f"a {match[2]}")
        return f"{_option(match[1])} cannot be {match[3]}: it should be {kind}."
    if match := re.fullmatch(r"argument ([^:]+): (.*)", message):
        return f"{_option(match[1])}: {match[2]}."
    if match := re.fullmatch(r"the following arguments are required: (.*)", message):
        return f"{match[1]} is missing."
    return f"{message}."


def _option(names: str) -> str:
    return names.split("/")[0]


def number(
    low: int | float | None = None, *, whole: bool = False
) -> Any:  # what argparse calls on the text of an option
    """A type of option: a finite number, at least `low`."""

    def read(text: str) -> int | float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"cannot be {text}: it should be {_KINDS['int' if whole else 'float']}"
            ) from None
        if not -float("inf") < value < float("inf") or (low is not None and value < low):
            raise argparse.ArgumentTypeError(f"cannot be {text}: it should be at least {low:g}")
        return value

    return read


def add_count(parser: Any, name: str, text: str, default: int | None = None) -> None:
    """Offer an option whose value is a whole number from 1.

    Args:
        parser: of the command, or a group of its options.
        name: of the option.
        text: its line of help.
        default: what it is where it is not given.
    """
    kind = number(1, whole=True)
    parser.add_argument(name, type=kind, default=default, metavar="N", help=text)


def path(text: str) -> Path:
    """A type of option: a file or folder; `~` is the home folder."""
    if not text:
        raise argparse.ArgumentTypeError("needs the name of a file or folder")
    return Path(text).expanduser()
