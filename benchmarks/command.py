"""A benchmark as a command: options from its arguments, bad input told in one sentence."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import tyro

from splice.errors import SpliceError

OptionsT = TypeVar("OptionsT")


def run_command(main: Callable[[OptionsT], None], options: Any) -> None:
    """Read the options from the command line and run with them; a SpliceError ends the process.

    Its sentence goes to standard error, and its exit status is the process's.

    Args:
        main: what is run with the options.
        options: their class; or several in a union, each a command of its own, by its name.
    """
    try:
        main(tyro.cli(options))
    except SpliceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
