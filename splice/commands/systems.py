"""Other systems' folders of pictures as options, shared by the commands that compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from splice.errors import InputError


def add_against(parser: Any) -> None:
    """Offer `--against NAME=DIR` to a parser or a group of its options."""
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="another system's pictures of the same pairs; may be given several times",
    )


def systems_of(texts: Sequence[str], option: str, *, beside_ours: bool = True) -> dict[str, Path]:
    """Folders by their systems' names, from texts of the form `NAME=DIR`.

    Args:
        texts: as given.
        option: that they were given with.
        beside_ours: whether ours and the copies take part too, so that no other is called so.

    Raises:
        InputError: another form, a name that is taken, or two systems of one name.
    """
    from splice.analysis.scores.evaluation import BASELINES, OURS, parse_against

    systems: dict[str, Path] = {}
    for text in texts:
        name, folder = parse_against(text, (OURS, *BASELINES) if beside_ours else ())
        if name in systems:
            raise InputError(f"{option} {text}: another system is named {name} already.")
        systems[name] = folder
    return systems
