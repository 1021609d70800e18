"""A part of a picture, brushed over on the page, as a file that a run takes."""

import base64
import binascii
import io
from pathlib import Path

from PIL import Image

from splice.errors import InputError

MOST_TEXT = 4 * 2**20
"""Characters of strokes, at most."""

MOST_SIDE = 2048
"""Longest side of strokes, in pixels."""

_START = "data:image/png;base64,"


def write_mask(strokes: str, file: Path) -> Path | None:
    """Writes white where there are strokes, black elsewhere.

    Args:
        strokes: a PNG as the address of data, whose opacity says where.
        file: to write; its folder must exist.

    Returns:
        The file; None, and none written, where there is no stroke at all.

    Raises:
        InputError: it is not such a picture.
    """
    alpha = _opacity(strokes).point([0] * 128 + [255] * 128)
    if alpha.getbbox() is None:
        return None
    alpha.save(file, "PNG")
    return file


def _opacity(strokes: str) -> Image.Image:
    if not strokes.startswith(_START) or len(strokes) > MOST_TEXT:
        raise InputError("the strokes of the brush did not arrive whole; brush once more.")
    try:
        data = base64.b64decode(strokes[len(_START) :], validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if max(picture.size) > MOST_SIDE:
                raise InputError(f"strokes should have at most {MOST_SIDE} pixels a side.")
            return picture.convert("RGBA").getchannel("A")
    except (OSError, ValueError, SyntaxError, binascii.Error) as error:
        raise InputError("the strokes of the brush are no picture; brush once more.") from error
