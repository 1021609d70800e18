"""Words within a PNG: a `tEXt` chunk, which viewers pass over and programs can read."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

from PIL.PngImagePlugin import putchunk

from splice.pictures.picture_file import open_picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_text(path: str | Path, keyword: str) -> str | None:
    """The words that a picture file holds under a keyword; None where it holds none.

    Raises:
        InputError: it is not a readable picture.
    """
    with open_picture(path) as picture:
        text = picture.info.get(keyword) if picture.format == "PNG" else None
        return str(text) if isinstance(text, str) else None


def with_text(png: bytes, keyword: str, text: str) -> bytes:
    """The same PNG with these words under a keyword, in place of any that were there.

    Args:
        png: a whole PNG file.
        keyword: 1 to 79 letters of Latin-1.
        text: of Latin-1.
    """
    key = keyword.encode("latin-1") + b"\0"
    return with_chunks(png, [(b"tEXt", key + text.encode("latin-1"))], replaced=key)


def with_chunks(
    png: bytes, added: list[tuple[bytes, bytes]], *, replaced: bytes | None = None
) -> bytes:
    """The same PNG with more chunks, after its header.

    Args:
        png: a whole PNG file.
        added: names and contents.
        replaced: the beginning of `tEXt` chunks that are left out.
    """
    file = io.BytesIO()
    file.write(_SIGNATURE)
    for name, content in _chunks(png):
        if not (replaced and name == b"tEXt" and content.startswith(replaced)):
            putchunk(file, name, content)
        if name == b"IHDR":
            for each in added:
                putchunk(file, *each)
    return file.getvalue()


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        place += 12 + length
