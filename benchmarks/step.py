"""Measure the seconds of a step, its parts, its floor, and the literal loop: see --help.

python benchmarks/step.py --against literal --json FILE

The same as `splice bench`, for this source whether it is installed or not.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from splice.commands.cli import run_command

    sys.exit(run_command("bench", sys.argv[1:], "python benchmarks/step.py"))
