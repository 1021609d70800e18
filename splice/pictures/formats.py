"""What the name of a picture says of its format; nothing is opened, and no torch is needed."""

import os
from pathlib import Path

from splice.errors import InputError

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
    | {".avif", ".heic", ".heif", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm"}
)
"""Of files that are taken for pictures where a folder is searched."""

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""What names of written pictures may end in."""

_SAME = {".jpeg": ".jpg", ".tiff": ".tif"}


def is_picture_name(path: str | Path) -> bool:
    """Whether a file is named like a picture of any format."""
    return _suffix(path) in PICTURE_SUFFIXES


def check_writable(path: str | Path, depth: int = 8) -> str:
    """Refuse names of pictures that `write_image` would refuse.

    Args:
        path: of a picture to be written.
        depth: bits of each value.

    Returns:
        The suffix, in the one spelling that is used within.

    Raises:
        InputError: a suffix of another format, or of one that has not as many bits.
    """
    suffix = _suffix(path)
    if suffix not in WRITABLE:
        names = f"{', '.join(WRITABLE[:-1])} or {WRITABLE[-1]}"
        raise InputError(f"{path} cannot be written: name it {names}.")
    if depth == 16 and suffix != ".png":
        raise InputError(f"{path} cannot be written with --depth 16: name it .png.")
    return _SAME.get(suffix, suffix)


def _suffix(path: str | Path) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 - also for a str
