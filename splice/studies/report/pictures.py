"""Pictures for a page: small copies, within the page or in a folder beside it."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from PIL import Image, ImageSequence

from splice.errors import SpliceError
from splice.pictures.images import read_image, to_pil, write_atomically

QUALITY = 88
"""Of WebP, at which differences are hard to find in a photograph."""


@dataclass(frozen=True)
class Shown:
    """A picture as a page shows it: an address, and its size in pixels."""

    address: str
    width: int
    height: int


class Store:
    """Where the pictures of a page go: into it as data, or beside it as files."""

    def __init__(self, folder: Path | None = None) -> None:
        """Embed, or write into a folder beside the page; it is created when first needed."""
        self._folder = folder

    def add(self, picture: Image.Image, name: str) -> Shown:
        """Take a picture; `name` becomes that of its file, where it gets one.

        Raises:
            SpliceError: the file cannot be written.
        """
        data = encode(picture)
        if self._folder is None:
            text = base64.b64encode(data).decode("ascii")
            return Shown(f"data:image/webp;base64,{text}", *picture.size)
        self._folder.mkdir(parents=True, exist_ok=True)
        file = f"{name}.webp"
        write_atomically(self._folder / file, lambda stream: stream.write(data))
        return Shown(f"{quote(self._folder.name)}/{quote(file)}", *picture.size)


@dataclass(frozen=True)
class Strip:
    """A time lapse as one picture: its frames row by row, left to right."""

    shown: Shown
    columns: int
    frames: int
    width: int
    height: int


def small_copy(path: Path, longest: int, size: tuple[int, int] | None = None) -> Image.Image | None:
    """A picture file cut down to `longest` pixels; None where it cannot be read.

    Args:
        path: of any picture; it is turned upright and converted to sRGB.
        longest: pixels of the longer side, at most.
        size: width and height to resize it to first, whatever its own.
    """
    try:
        picture = to_pil(read_image(path))
    except SpliceError:
        return None
    if size is not None and picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    scale = longest / max(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return picture


def film_strip(path: Path, store: Store, name: str, longest: int = 256) -> Strip | None:
    """The frames of an animation side by side; None where it cannot be read."""
    try:
        with Image.open(path) as animation:
            frames = [
                _at_most(frame.convert("RGB"), longest)
                for frame in ImageSequence.Iterator(animation)
            ]
    except (OSError, ValueError, SyntaxError):
        return None
    return _strip(frames, store, name) if len(frames) > 1 else None


def encode(picture: Image.Image) -> bytes:
    """The picture as WebP, without anything that tells of its origin."""
    data = io.BytesIO()
    picture.convert("RGB").save(data, "WEBP", quality=QUALITY, method=4)
    return data.getvalue()


def _strip(frames: Sequence[Image.Image], store: Store, name: str) -> Strip:
    width, height = frames[0].size
    columns = max(1, round((len(frames) * height / width) ** 0.5))
    rows = -(-len(frames) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for index, frame in enumerate(frames):
        sheet.paste(frame, (index % columns * width, index // columns * height))
    return Strip(store.add(sheet, name), columns, len(frames), width, height)


def _at_most(picture: Image.Image, longest: int) -> Image.Image:
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return picture
