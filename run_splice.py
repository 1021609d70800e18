"""Splice one pair of pictures: `python run_splice.py STRUCTURE APPEARANCE`, or see --help."""

import sys

from splice.commands.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("transfer", sys.argv[1:], "python run_splice.py"))
