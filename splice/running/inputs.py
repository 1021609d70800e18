"""The files that a run begins with: how large they are read, and by which sum they are known."""

import hashlib
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError
from splice.method.settings import Settings
from splice.pictures.images import check_picture, read_image
from splice.running.memory import largest_size


def choose_size(structure: Path, settings: Settings, device: torch.device) -> int:
    """The short side that both pictures are cut down to, in pixels: `settings.size`, or what fits.

    Raises:
        InputError: the structure image cannot be read.
        RunError: the size is `auto`, and there is no memory for any.
    """
    if isinstance(settings.size, int):
        return settings.size
    width, height = check_picture(structure)
    return largest_size(height, width, device, settings)


def read_at_most(file: Path, size: int) -> Float[Tensor, "3 height width"]:
    """The picture, its short side cut down to `size` pixels, never enlarged."""
    return read_image(file, short_side=min(size, *check_picture(file)))


def sha256(file: Path) -> str:
    """The sha256 of a file, in hexadecimal.

    Raises:
        InputError: it cannot be read.
    """
    hasher = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                hasher.update(chunk)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    return hasher.hexdigest()
