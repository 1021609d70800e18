"""Pictures that visitors drop: kept as they came, looked through at once, and shown small."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from splice.errors import InputError, SpliceError
from splice.pictures.images import read_image, to_pil

SHOWN_SIDE = 1280
"""Longest side of pictures on the page, in pixels."""

MOST_BYTES = 64 * 2**20
"""Of a file that is dropped."""

_QUALITY = 90


@dataclass(frozen=True)
class Dropped:
    """A picture that a visitor wants to use.

    Attributes:
        file: as it came, in the visitor's folder.
        name: of the file, as the visitor knows it.
        preview: a file that every browser shows, upright and in sRGB, at most `SHOWN_SIDE` large.
        size: of the preview, width and height in pixels.
    """

    file: Path
    name: str
    preview: Path
    size: tuple[int, int]


def keep(upload: Path, folder: Path, name: str) -> Dropped:
    """Copies a picture into a folder, and reads all of it, so that damage is found now.

    Args:
        upload: the file as it came.
        folder: for it alone; what it held before goes.
        name: of the file, for messages and the command line.

    Raises:
        InputError: it is not a picture that can be read, or too large, with the reason.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file = folder / plain_name(name)
    if upload.stat().st_size > MOST_BYTES:
        raise InputError(f"{name} has more than {MOST_BYTES >> 20} MB; give a smaller file.")
    shutil.copyfile(upload, file)
    try:
        picture = to_pil(read_image(file))
    except SpliceError as error:
        shutil.rmtree(folder, ignore_errors=True)
        # Visitors know nothing of folders here.
        raise InputError(str(error).replace(str(file), name)) from None
    preview = folder / "preview" / "preview.jpg"
    preview.parent.mkdir()
    small = shrunk(picture)
    save(small, preview)
    return Dropped(file, name, preview, small.size)


def plain_name(name: str) -> str:
    """The name of a file without folders and odd characters, at most 100 long."""
    plain = re.sub(r"[^\w.\- ]", "_", Path(name).name)[-100:].lstrip(". ")
    return plain or "picture"


def shrunk(picture: Image.Image, side: int = SHOWN_SIDE) -> Image.Image:
    """A picture whose longest side has at most so many pixels."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def save(picture: Image.Image, file: Path) -> None:
    """Writes a picture for the page as JPEG; not for keeping."""
    picture.convert("RGB").save(file, "JPEG", quality=_QUALITY)
