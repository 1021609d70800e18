"""The frames of a video, wherever they come from: a file, a folder, or a pattern of names."""

import glob
import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from splice.errors import InputError
from splice.pictures.images import read_image, resize_short_side
from splice.pictures.pairs.folders import list_pictures
from splice.running.inputs import sha256

USUAL_RATE = Fraction(25)
"""Pictures of a folder in a second, where nothing else is said."""


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        image: in [0, 1].
        time: when it is shown, in units of the source's `time_base`; each is later than the last.
        name: a file's name for it, without a suffix.
    """

    image: Float[Tensor, "3 height width"]
    time: int
    name: str


class Source(ABC):
    """Where frames come from; they can be read again and again.

    Attributes:
        place: as it was given.
        time_base: the unit of time, in seconds.
        rate: frames in a second, on average.
    """

    place: Path
    time_base: Fraction
    rate: Fraction

    @property
    def name(self) -> str:
        """What outputs are called after."""
        return self.place.stem

    @property
    def film(self) -> Path | None:
        """The file whose audio is kept; None where there is none."""
        return None

    @property
    def folders(self) -> set[Path]:
        """Where frames lie as files, which what is painted could replace."""
        return set()

    @abstractmethod
    def read(self) -> Iterator[Frame]:
        """The frames as they are, from the first.

        Raises:
            InputError: one of them cannot be read.
        """

    @abstractmethod
    def sha256(self) -> str:
        """Of the content, in hexadecimal."""

    def frames(self, size: int) -> Iterator[Frame]:
        """The frames with short sides of at most so many pixels.

        Raises:
            InputError: one of them cannot be read, or has another size than the first.
        """
        first = None
        for frame in self.read():
            height, width = frame.image.shape[1:]
            first = first or (height, width)
            if (height, width) != first:
                raise InputError(
                    f"frame {frame.name} of {self.place} has {width} × {height} pixels and the first "
                    f"{first[1]} × {first[0]}; give frames of one size."
                )
            image = frame.image
            if min(height, width) > size:
                image = resize_short_side(image, size)
            yield Frame(image, frame.time, frame.name)


class FrameFolder(Source):
    """Pictures in files, in the order of their names, with numbers in them counted as numbers."""

    def __init__(self, place: Path, files: Sequence[Path], rate: Fraction | None = None) -> None:
        """Remembers the files; none is opened.

        Args:
            place: as it was given.
            files: of the frames.
            rate: frames in a second.

        Raises:
            InputError: there are none, or two whose names differ in nothing but suffix and folder.
        """
        self.place, self.rate = place, rate or USUAL_RATE
        self.time_base = 1 / self.rate
        # A pattern with several ** finds files more than once.
        self.files = sorted(dict.fromkeys(files), key=lambda file: _by_numbers(file.name))
        if not files:
            raise InputError(f"{place} holds no frames; give a video, or a folder of pictures.")
        named: dict[str, Path] = {}
        for file in self.files:
            other = named.setdefault(file.stem, file)
            # What is painted of one would replace what is painted of the other.
            if other is not file:
                raise InputError(
                    f"{other} and {file} are both named {file.stem}; give frames whose names differ "
                    "without suffix and folder."
                )

    @property
    @override
    def name(self) -> str:
        """What outputs are called after: the folder."""
        folder = self.place if self.place.is_dir() else self.files[0].parent
        return folder.resolve().name or "frames"

    @property
    @override
    def folders(self) -> set[Path]:
        """Of the files, and of those that they link to, which may have the same names."""
        linked = {Path(os.path.realpath(file)).parent for file in self.files}
        return linked | {file.parent for file in self.files}

    @override
    def read(self) -> Iterator[Frame]:
        for number, file in enumerate(self.files):
            yield Frame(read_image(file), number, file.stem)

    @override
    def sha256(self) -> str:
        sums = hashlib.sha256()
        for file in self.files:
            sums.update(f"{file.name}\0{sha256(file)}\0".encode())
        return sums.hexdigest()


def open_frames(place: Path, rate: Fraction | None = None) -> Source:
    """The frames of a video file, a folder, or a pattern such as `frames/*.png`.

    Args:
        place: of the frames.
        rate: frames in a second, of pictures in files.

    Raises:
        InputError: there is nothing of that name, it is no video, it holds no frames, or two of
            one name.
        RunError: it is a video, and PyAV is not installed.
    """
    if place.is_dir():
        return FrameFolder(place, list_pictures(place), rate)
    if not place.exists() and glob.has_magic(str(place)):
        files = [Path(name) for name in glob.glob(str(place), recursive=True)]  # noqa: PTH207
        return FrameFolder(place, [file for file in files if file.is_file()], rate)
    if not place.exists():
        raise InputError(f"{place} does not exist; give a video, or a folder of frames.")
    from splice.video.film import Film

    if rate is not None:
        raise InputError(f"--rate is for folders of frames; {place} has a rate of its own.")
    return Film(place)


def _by_numbers(name: str) -> list[tuple[int, str]]:
    """A key by which frame-10 comes after frame-9."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
