"""What was painted, frame by frame into a video file or a folder; whole files, or none."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError
from splice.pictures.atomic import write_atomically
from splice.pictures.encoding import write_image
from splice.video.encoder import Encoder, check_encoder
from splice.video.frames import Frame, Source

Painted: TypeAlias = Float[Tensor, "3 height width"]

FILMS = (".mp4", ".mov", ".m4v", ".mkv")
"""What names of written videos may end in."""


def is_film_name(place: Path) -> bool:
    """Whether an output of that name is a video; one without a suffix, or a folder, is a folder.

    Raises:
        InputError: a suffix of no video that can be written.
    """
    if place.is_dir() or not place.suffix:
        return False
    if place.suffix.lower() not in FILMS:
        names = f"{', '.join(FILMS[:-1])} or {FILMS[-1]}"
        raise InputError(
            f"--output {place} cannot be written: name it {names}, or give a folder for frames."
        )
    return True


def check_output(output: Path, source: Source, depth: int) -> None:
    """Refuse what cannot be written, before anything slow.

    Args:
        output: a video or a folder.
        source: what is painted.
        depth: bits of each value.

    Raises:
        InputError: a name of no video, no folder for it, audio that it cannot hold, the source
            itself, or a folder of its frames.
    """
    if _is_same(output, source.place):
        raise InputError(f"--output {output} is the video itself; name another.")
    if any(_is_same(output, folder) for folder in source.folders):
        raise InputError(f"--output {output} holds frames of {source.place}; name another folder.")
    if not is_film_name(output):
        if output.is_file():
            raise InputError(f"--output {output} is a file; give a folder or a video.")
        return
    if depth == 16:
        raise InputError(f"--output {output} has 8 bits; leave --depth 16 to folders of frames.")
    if not output.absolute().parent.is_dir():
        raise InputError(
            f"--output {output} cannot be written: there is no folder {output.parent}; "
            "create it first."
        )
    check_encoder(output, source)


def write_frames(
    output: Path,
    source: Source,
    depth: int,
    painted: Iterable[tuple[Painted, Frame]],
    count: int | None = None,
) -> None:
    """Write what is painted, frame by frame as it comes.

    A video has another name until its last frame is there. Where the painting fails, or is stopped,
    what there is so far takes the name: it can be played, and its audio ends with its last frame.
    In a folder every file is whole.

    Args:
        output: a video, or a folder for PNGs with the names of the frames.
        source: what is painted; its audio is kept in a video.
        depth: bits of each value, in a folder.
        painted: pictures in [0, 1], and the frames that they were painted of.
        count: of all frames; where fewer are painted, the painting was stopped. By default it was
            not, unless it failed.

    Raises:
        InputError: the place cannot take it.
        RunError: the disk is full.
        Exception: whatever `painted` raises.
    """
    if not is_film_name(output):
        _make_folder(output)
        for picture, frame in painted:
            write_image(output / f"{frame.name}.png", picture, depth=depth)
        return
    failures: list[Exception] = []
    write_atomically(output, lambda file: _encode(file, output, source, painted, count, failures))
    if failures:
        raise failures[0]


def _encode(
    file: Any,
    output: Path,
    source: Source,
    painted: Iterable[tuple[Painted, Frame]],
    count: int | None,
    failures: list[Exception],
) -> None:
    """Write a video; a failure to paint that comes after its first frame is put by."""
    encoder, frames, written = None, iter(painted), 0
    while True:
        try:
            picture, frame = next(frames)
        except StopIteration:
            break
        except Exception as error:
            if encoder is None:
                raise
            failures.append(error)
            break
        encoder = encoder or Encoder(file, output, source, picture.shape[1:])
        encoder.add(picture, frame.time)
        written += 1
    if encoder is not None:
        encoder.close(whole=not failures if count is None else written == count)


def _is_same(output: Path, place: Path) -> bool:
    return output.exists() and place.exists() and output.samefile(place)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"--output {folder} is a file; give a folder or a video.") from None
    except OSError as error:
        raise InputError(f"--output {folder} cannot be made: {error.strerror}.") from error
