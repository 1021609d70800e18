"""Frames of a video file."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from splice.errors import InputError
from splice.running.inputs import sha256
from splice.video.extra import import_av
from splice.video.frames import USUAL_RATE, Frame, Source


class Film(Source):
    """A video file; its time stamps stay, also where frames come at changing intervals."""

    def __init__(self, place: Path) -> None:
        """Reads what the file says of itself.

        Raises:
            InputError: it is no video that can be read.
            RunError: PyAV is not installed.
        """
        self.place = place
        with _opened(place) as container:
            stream = container.streams.video[0]
            self.time_base = Fraction(stream.time_base or 1 / USUAL_RATE)
            rate = stream.average_rate or stream.base_rate
            self.rate = Fraction(rate) if rate else USUAL_RATE

    @property
    @override
    def film(self) -> Path | None:
        """This file."""
        return self.place

    @override
    def read(self) -> Iterator[Frame]:
        last = None
        with _opened(self.place) as container:
            stream = container.streams.video[0]
            # Several threads now and then wait for each other for ever when reading ends early.
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            for number, frame in enumerate(container.decode(stream), 1):
                time = frame.pts
                if last is not None and (time is None or time <= last):
                    # As long as a frame lasts on average; without it the file could not be played.
                    time = last + max(1, round(1 / (self.rate * self.time_base)))
                last = time or 0
                yield Frame(_upright(frame), last, f"{number:06}")

    @override
    def sha256(self) -> str:
        return sha256(self.place)


@contextmanager
def _opened(place: Path) -> Iterator[Any]:
    """An open video that has a picture track; what is wrong with it is told in a sentence.

    Raises:
        InputError: it is no video, or damaged.
    """
    av = import_av()
    try:
        with av.open(str(place)) as container:
            if not container.streams.video:
                raise InputError(
                    f"{place} has no pictures in it; give a video with a picture track."
                )
            yield container
    except (av.FFmpegError, OSError, EOFError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(
            f"{place} cannot be read as a video ({reason.rstrip('.')}); give an intact one."
        ) from error


def _upright(frame: Any) -> Float[Tensor, "3 height width"]:
    """The colours of a frame, in [0, 1], turned as it is meant to be seen."""
    values = torch.from_numpy(frame.to_ndarray(format="rgb24"))
    image = values.permute(2, 0, 1).float() / 255
    turns = round((frame.rotation or 0) / 90)
    return torch.rot90(image, turns, (1, 2)).contiguous()
