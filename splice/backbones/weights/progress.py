"""How a download tells how far it is; what shows it is the caller's affair."""

from __future__ import annotations

from collections.abc import Callable

# Called with the stage in words, the bytes done and the bytes in all, if known. Every stage
# begins with 0 bytes done; a bar or a line of its own suits each.
Progress = Callable[[str, int, "int | None"], None]


def silent(stage: str, done: int, total: int | None) -> None:
    """Report nothing."""
