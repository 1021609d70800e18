"""The command `splice`: finds the command that is asked for, and explains what fails.

The commands live in `splice.commands`, one module each, imported only when called for, so that help
and mistakes are answered at once.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from splice import __version__
from splice.errors import InputError, SpliceError
from splice.running.signals import Stopped, raising

COMMANDS = {
    "transfer": "paint one picture with the look of another",
    "studio": "the same on a page in the browser",
    "batch": "the same for many pairs",
    "video": "the same for a video or a folder of frames",
    "train": "learn to paint a whole domain of pictures with one network",
    "paint": "paint pictures with such a network, in one pass each",
    "evaluate": "score outputs, alone or against others",
    "report": "a gallery of outputs as one HTML page",
    "features": "show what the backbone sees: PCA, similarity, attention",
    "invert": "paint a picture back from its features",
    "bench": "measure steps and their parts",
    "weights": "list, fetch, find and check the backbones' weights",
}
"""What each command does, in one line; those whose module is missing are not offered."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `splice COMMAND …`.

    Args:
        arguments: what follows `splice`; that of this process by default.

    Returns:
        The exit status: 0 done, 1 failed at run time, 2 wrong usage or input, 130 ended by
        ctrl-C, 143 by SIGTERM.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        return _say(_help(), 0 if arguments else 2)
    if arguments[0] in ("-V", "--version"):
        return _say(f"splice {__version__}", 0)
    return run_command(arguments[0], arguments[1:], f"splice {arguments[0]}")


def _say(text: str, status: int) -> int:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        return _unheard()
    return status


def _unheard() -> int:
    """What to do when the reader of our output has gone, as in `splice … | head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def run_command(name: str, arguments: Sequence[str], program: str) -> int:
    """Run one command and explain in one sentence on the standard error stream what fails.

    Args:
        name: of the command.
        arguments: its own.
        program: how it was called, for its help.

    Returns:
        The exit status, as of `main`.
    """
    debug = "--debug" in arguments
    if not debug:  # warnings of libraries are for those who look into this code
        warnings.simplefilter("ignore")
    try:
        with raising():
            return _call(name, list(arguments), program)
    except SystemExit as end:  # argparse's own way out of --help
        return end.code if isinstance(end.code, int) else 0
    except (Stopped, KeyboardInterrupt) as stop:
        print("splice: stopped", file=sys.stderr)
        return stop.exit_status if isinstance(stop, Stopped) else 130
    except BrokenPipeError:
        return _unheard()
    except SpliceError as error:
        return _fail(str(error), error.exit_status, debug)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("splice"):
            return _unexpected(error, debug)
        return _fail(
            f"the package {error.name} is not installed; run 'pip install .' in the folder of "
            "Splice.",
            1,
            debug,
        )
    except MemoryError:
        return _fail("there is not enough memory; try a smaller --size.", 1, debug)
    except Exception as error:
        return _unexpected(error, debug)


def _call(name: str, arguments: list[str], program: str) -> int:
    if name not in _available():
        import difflib

        close = difflib.get_close_matches(name, _available(), n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise InputError(
            f"there is no command {name}{hint}; the commands are {', '.join(_available())}."
        )
    command = importlib.import_module(f"splice.commands.{name}")
    return command.main(arguments, program)


def _available() -> list[str]:
    return [name for name in COMMANDS if importlib.util.find_spec(f"splice.commands.{name}")]


def _help() -> str:
    lines = [f"  {name:<10}{COMMANDS[name]}" for name in _available()]
    return "\n".join(
        [
            "usage: splice COMMAND …",
            "",
            "Semantic appearance transfer with a frozen vision transformer.",
            "",
            *lines,
            "",
            "The shortest way to a picture, of your own pair and of the sample pair:",
            "",
            "  splice transfer structure.jpg appearance.jpg --output picture.jpg",
            "  splice transfer --preset quick",
            "",
            "'splice COMMAND --help' shows what a command takes; 'splice --version' the version.",
        ]
    )


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    sentence = message if message.endswith((".", "?", "!")) else f"{message}."
    print(f"splice: error: {sentence}", file=sys.stderr)
    return status


def _unexpected(error: Exception, debug: bool) -> int:
    said = " ".join(str(error).split())
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return _fail(
        f"something unexpected happened ({what.rstrip('.')[:300]}); "
        "--debug shows where, for a report.",
        1,
        debug,
    )
