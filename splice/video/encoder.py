"""A video file as it is written: H.264 in 4:2:0, and the audio of another file, packet by packet."""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError, RunError
from splice.pictures.encoding import to_pil
from splice.video.extra import import_av
from splice.video.frames import Source

CODEC = "libx264"
"""The encoder, H.264."""

QUALITY = {"crf": "12", "preset": "medium", "x264-params": "mbtree=0"}
"""Of the encoder: what is painted is not worth keeping if it is not kept well.

With the tree of macroblocks the same frames became other bytes in one run of three.
"""

BT709, LIMITED = 1, 1
"""The matrix of colours that is written, and their range, by the numbers of H.264."""

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}


class Encoder:
    """A video that grows by a frame at a time."""

    def __init__(self, file: Any, output: Path, source: Source, size: Sequence[int]) -> None:
        """Writes the head of the file.

        Args:
            file: to write to.
            output: its name, whose suffix says the format.
            source: of the frames, whose audio is kept.
            size: rows and columns of the frames.

        Raises:
            InputError: the format cannot hold the audio.
            RunError: PyAV is not installed, or built without H.264.
        """
        self._av = import_av()
        self._base, self._rate = source.time_base, source.rate
        self._end = Fraction(0)
        self._film = None if source.film is None else self._av.open(str(source.film))
        format_name = _FORMATS[output.suffix.lower()]
        self._container = self._av.open(file, "w", format=format_name)
        try:
            self._stream = self._container.add_stream(CODEC, rate=source.rate, options=QUALITY)
        except (self._av.FFmpegError, ValueError) as error:
            raise RunError(
                "the installed PyAV cannot write H.264; install PyAV's own wheel, or give a folder "
                "as --output."
            ) from error
        context = self._stream.codec_context
        # Half of the rows and columns have colours of their own: sides are even.
        context.height, context.width = (side + side % 2 for side in size)
        context.pix_fmt = "yuv420p"
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        context.time_base = self._stream.time_base = self._base
        # With several threads the bytes would depend on their number.
        context.thread_count = 1
        try:
            self._audio = _Audio(self._container, self._film)
            self._container.start_encoding()
        except (self._av.FFmpegError, ValueError) as error:
            raise InputError(
                f"--output {output} cannot hold the audio of {source.place}; name it .mkv."
            ) from error

    def add(self, picture: Float[Tensor, "3 height width"], time: int) -> None:
        """The next frame.

        Args:
            picture: in [0, 1]; an odd side gets its last row or column twice.
            time: when it is shown, in units of the source's time base.

        Raises:
            RunError: it holds values that are not finite.
        """
        bottom, right = (side % 2 for side in picture.shape[1:])
        picture = F.pad(picture[None], (0, right, 0, bottom), mode="replicate")[0]
        frame = self._av.VideoFrame.from_image(to_pil(picture))
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = time, self._base
        self._audio.copy(until=time * self._base)
        self._end = time * self._base + 1 / self._rate
        self._container.mux(self._stream.encode(frame))

    def close(self, *, whole: bool) -> None:
        """Writes what is left of pictures and audio, and the end of the file.

        Args:
            whole: all frames were added; else audio ends with the last that was.
        """
        self._container.mux(self._stream.encode(None))
        self._audio.copy(until=None if whole else self._end)
        self.release()

    def release(self) -> None:
        """Lets go of both files, as they are."""
        self._container.close()
        if self._film is not None:
            self._film.close()


class _Audio:
    """The audio of a video on its way to another, as it is."""

    def __init__(self, container: Any, film: Any) -> None:
        """Makes a track for each of the film's.

        Args:
            container: to write to.
            film: to read from; None for silence.
        """
        self._container = container
        tracks: list[Any] = [] if film is None else list(film.streams.audio)
        self._targets = {track.index: container.add_stream_from_template(track) for track in tracks}
        self._packets: Iterator[Any] = film.demux(tracks) if film and tracks else iter(())
        self._next = next(self._packets, None)

    def copy(self, until: Fraction | None = None) -> None:
        """Copies the packets that begin before so many seconds, or all."""
        while self._next is not None:
            packet = self._next
            # Without a time stamp it is the empty one that ends a track.
            if packet.dts is not None:
                if until is not None and packet.dts * packet.time_base >= until:
                    return
                packet.stream = self._targets[packet.stream.index]
                self._container.mux(packet)
            self._next = next(self._packets, None)


def check_encoder(output: Path, source: Source) -> None:
    """Make sure that a video of that name can be written.

    Raises:
        InputError: the format cannot hold the audio.
        RunError: PyAV is not installed, or built without H.264.
    """
    Encoder(io.BytesIO(), output, source, (16, 16)).release()
