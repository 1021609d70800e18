"""Options that several commands have alike: of runs that can be resumed, and of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from splice.commands.parser import Options, number, path
from splice.running.durations import duration

if TYPE_CHECKING:
    from splice.running.outcome import Outcome


def add_run_options(
    parser: Options, default: str, checkpoint_every: float, *, files: str = ""
) -> None:
    """Offer the folder of a run, and how the run survives interruptions.

    Args:
        parser: of the command.
        default: the folder that is taken without `--output`, for the help.
        checkpoint_every: seconds between two checkpoints, by default.
        files: what else than a folder `--output` can name, in words.
    """
    also = f"{files}, or the " if files else ""
    parser.add_argument(
        "--output",
        type=path,
        metavar="FILE|DIR" if files else "DIR",
        help=f"{also}folder of the run; by default a new one, {default}",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the unfinished run of this output, if there is one",
    )
    add_checkpoints(parser, checkpoint_every)


def add_appearance_mask(parser: Options) -> None:
    """Offer which part of each appearance image lends its look."""
    parser.add_argument(
        "--appearance-mask",
        nargs="+",
        type=path,
        metavar="FILE",
        help="a picture, white where the look comes from; of several looks one for each",
    )


def add_checkpoints(parser: Any, seconds: float, of: str = "") -> None:
    """Offer how often the state is saved, to a parser or a group of its options."""
    parser.add_argument(
        "--checkpoint-every",
        type=number(0),
        default=seconds,
        metavar="S",
        help=f"seconds between two checkpoints{of} ({seconds:g})",
    )


def add_blocks(parser: Options) -> None:
    """Offer the blocks of the backbone that a command is about."""
    parser.add_argument(
        "--block",
        nargs="+",
        action="extend",
        metavar="N",
        help="blocks, from 1; or all; by default the deepest",
    )


def ending(outcome: Outcome, again: str = "") -> str:
    """How a run ended, in a sentence.

    Args:
        outcome: of the run.
        again: what the same command needs besides, to go on with a run that was stopped.
    """
    if outcome.finished:
        return f"finished {outcome.steps} steps in {duration(outcome.seconds)}"
    return (
        f"stopped at step {outcome.step} of {outcome.steps}; the same command with --resume{again} "
        "goes on from here"
    )


def blocks_of(words: Sequence[str]) -> str | list[str]:
    """`all`, `deepest`, or the blocks one by one; `--block 1,3` says the same as `--block 1 3`."""
    blocks = [part for word in words for part in word.split(",") if part]
    return blocks[0] if blocks in (["all"], ["deepest"]) else blocks
