"""When memory is spared: what is large, what it looks like when memory runs out, and giving it back."""

import gc

import torch

from splice.method.lesson import piece_of
from splice.method.settings import Settings

SPARED_PIXELS = 1024**2
"""Pixels that a step learns from above which memory is spared from the first step on."""

PIXELS_IN_ONE_PIECE = 2**21
"""Pixels of a picture above which it is painted in bands."""

_PHRASES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "bad_alloc",
    "alloc_failed",
)
"""How torch's allocators, the standard library of C++, and CUDA's libraries say it."""


def spares(height: int, width: int, settings: Settings) -> bool:
    """Whether pictures are so large that memory is spared from the first step on."""
    return learnt_pixels(*painted_sides(height, width, settings), settings) > SPARED_PIXELS


def in_one_piece(height: int, width: int) -> bool:
    """Whether a picture of that size is painted in one piece while memory is not spared."""
    return height * width <= PIXELS_IN_ONE_PIECE


def painted_sides(
    height: float | int, width: float | int, settings: Settings
) -> tuple[float | int, float | int]:
    """Sides of what the generator paints."""
    if settings.method == "paper":
        return height, width
    share = min(1.0, settings.painted / min(height, width))
    return height * share, width * share


def learnt_pixels(height: float | int, width: float | int, settings: Settings) -> float | int:
    """About how many pixels a step learns from: the entire picture, and what is learnt beside it.

    The published method's crop, or the piece that is the lesson.
    """
    rows, columns = piece_of(height, width)
    lesson = rows * columns
    return height * width + (min(height, width) ** 2 if settings.method == "paper" else lesson)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in torch's words or in Python's."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in _PHRASES)


def let_go(device: torch.device) -> None:
    """Gives back to the device what nothing refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
