"""What is asked of a video before anything is painted: how many frames, which are key, how large."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError
from splice.method.settings import Settings
from splice.running.memory import largest_size
from splice.video.frames import Source
from splice.video.key_frames import choose_key_frames, thumbnail

SMALLEST = 64
"""Short side, in pixels, at which frames are read to be compared."""


def survey(source: Source, most: int) -> tuple[int, list[int]]:
    """How many frames there are, and the numbers of the key frames, from 0.

    Args:
        source: of the frames.
        most: key frames, at least 1.

    Raises:
        InputError: a frame cannot be read or has another size; there are fewer than two.
    """
    small = [thumbnail(frame.image) for frame in source.frames(SMALLEST)]
    if len(small) < 2:
        raise _too_few(source, "one frame" if small else "no frames")
    return len(small), choose_key_frames(small, most)


def frame_size(source: Source) -> tuple[int, int]:
    """Rows and columns of the first frame.

    Raises:
        InputError: it cannot be read, or there is none.
    """
    first = next(iter(source.read()), None)
    if first is None:
        raise _too_few(source, "no frames")
    height, width = first.image.shape[1:]
    return height, width


def _too_few(source: Source, held: str) -> InputError:
    return InputError(
        f"{source.place} holds {held}, and a video needs two; 'splice transfer' paints a picture."
    )


def fitting_size(source: Source, settings: Settings, device: torch.device) -> int:
    """The short side of the output, in pixels, at most: that of the settings, or what fits.

    Raises:
        RunError: the size is `auto`, and there is no memory for any.
    """
    if isinstance(settings.size, int):
        return settings.size
    return largest_size(*frame_size(source), device, settings)


def frames_at(
    source: Source, numbers: Sequence[int], size: int
) -> list[Float[Tensor, "3 height width"]]:
    """Some frames, with short sides of at most so many pixels.

    Args:
        source: of the frames.
        numbers: which, from 0, rising.
        size: in pixels.
    """
    found = []
    for number, frame in enumerate(source.frames(size)):
        if number in numbers:
            found.append(frame.image)
        if len(found) == len(numbers):
            break
    return found
