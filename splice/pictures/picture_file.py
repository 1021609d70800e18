"""One picture file, opened safely: what it is, and whether its header allows reading it."""

import errno
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError, features

from splice.errors import InputError, RunError, SpliceError

MIN_SIDE = 16
"""Shortest side of a readable picture, in pixels: about one patch."""

MAX_PIXELS = 8000 * 8000
"""Most pixels of a readable picture unless the caller allows more."""

READABLE = "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC or PPM"

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_picture(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Read the header of a picture alone, and check all that can be known from it.

    Args:
        path: the picture.
        max_pixels: the most pixels that it may have.

    Returns:
        Width and height as stored, in pixels, before any orientation mark is applied.

    Raises:
        InputError: not a readable picture, with the reason.
    """
    with open_picture(path, max_pixels=max_pixels) as picture:
        return picture.size


@contextmanager
def open_picture(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open a picture, header only; decoding it inside the block turns damage into InputError.

    Never waits for a pipe or a device, and never allocates for pixels beyond `max_pixels`.
    Warnings of the decoder are silenced within the block.

    Raises:
        InputError: no such file, not a regular file, empty, not a picture, too small, too
            large, damaged, or HEIC without the extra `heic`.
        RunError: the pixels do not fit in memory.
    """
    with _open_regular_file(path, max_pixels) as file, _damage_explained(path):
        kind = _kind(file.read(256))
        if kind is None:
            raise InputError(f"{path} is not a picture that can be read; give a {READABLE} file.")
        file.seek(0)
        with _decoder(path, file, kind) as picture:
            _check_size(path, picture.size, max_pixels)
            yield picture


@contextmanager
def _open_regular_file(path: str | Path, max_pixels: int) -> Iterator[BinaryIO]:
    try:
        # The look comes first because opening a device can already do something to it.
        _check_kind(path, os.stat(path))  # noqa: PTH116
        flags = os.O_RDONLY
        for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, name, 0)
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; give the path of a picture.") from error
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ELOOP:
            reason = "its symbolic links lead in a circle"
        else:
            reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be opened: {reason}; give a readable picture.") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check_kind(path, status)
        if status.st_size == 0:
            raise InputError(f"{path} is empty; give a {READABLE} file.")
        # Some decoders read the whole file at once: no picture within the limit of pixels needs
        # more than four 32-bit channels and some metadata.
        if status.st_size > 16 * max_pixels + 2**26:
            raise InputError(
                f"{path} has {status.st_size:,} bytes, too many for a picture of at most "
                f"{max_pixels:,} pixels; give a smaller one."
            )
        yield file


def _check_kind(path: str | Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "not a regular file")
        raise InputError(f"{path} is {kind}; give the path of a picture file.")


@contextmanager
def _damage_explained(path: str | Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SpliceError:
        raise
    except MemoryError as error:
        raise RunError(f"{path} does not fit in memory; give a smaller picture.") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} has far too many pixels; scale it down first.") from error
    except Exception as error:  # decoders raise nearly every kind on damaged bytes
        reason = str(error) if isinstance(error, OSError) else type(error).__name__
        raise InputError(
            f"{path} is damaged or incomplete ({_short(reason)}); give an intact copy."
        ) from error


def _short(reason: str) -> str:
    line = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "the file", reason)).strip(" .")
    return line[:100] or "cannot be decoded"


def _kind(start: bytes) -> str | None:
    """Tell a picture format by its first bytes, as Pillow names it; None for anything else."""
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if start.startswith(b"BM"):
        return "BMP"
    if re.match(rb"P[1-6fF]\s", start):
        return "PPM"
    if start[4:8] == b"ftyp":
        major, brands = start[8:12], set(re.findall(b"....", start[16:], re.DOTALL))
        if major in (b"avif", b"avis") or (major in (b"mif1", b"msf1") and b"avif" in brands):
            return "AVIF"
        if major in _HEIC_BRANDS or major in (b"mif1", b"msf1"):
            return "HEIC"
    return None


@contextmanager
def _decoder(path: str | Path, file: BinaryIO, kind: str) -> Iterator[Image.Image]:
    if kind == "HEIC":
        with _heic_decoder(path, file) as picture:
            yield picture
        return
    try:
        picture = Image.open(file, formats=(kind,))
    except UnidentifiedImageError as error:
        if kind in ("WEBP", "AVIF") and not features.check(kind.lower()):
            raise InputError(
                f"{path} is a {kind} picture, and the installed Pillow was built without {kind}; "
                "install Pillow's own wheel, or give another format."
            ) from error
        raise InputError(
            f"{path} starts like a {kind} picture, but is damaged or of a variant that cannot be "
            "read; give an intact copy, or convert it to PNG."
        ) from error
    with picture:
        yield picture


def _heic_decoder(path: str | Path, file: BinaryIO) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise InputError(
            f"{path} is a HEIC picture, which needs the extra heic: "
            'pip install "splice-vit[heic]", or give a JPEG or PNG.'
        ) from error
    # Constructed directly, so that Pillow's registry of other programs' making stays untouched.
    return HeifImageFile(file)


def _check_size(path: str | Path, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise InputError(
            f"{path} has {width} x {height} pixels, more than the {max_pixels:,} allowed; "
            "scale it down first."
        )
    if min(size) < MIN_SIDE:
        raise InputError(
            f"{path} has {width} x {height} pixels; both sides must have at least {MIN_SIDE}."
        )
