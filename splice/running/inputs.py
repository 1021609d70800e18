"""The pictures that a run begins with: how large they are read, and by which sum files are known."""

import hashlib
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError
from splice.method.settings import Settings
from splice.pictures.given import WORDS, AnyPicture, as_image, size_of
from splice.running.memory import largest_size


def choose_size(
    structure: AnyPicture, settings: Settings, device: torch.device, name: str = WORDS
) -> int:
    """The short side that both pictures are cut down to, in pixels: `settings.size`, or what fits.

    Args:
        structure: the structure image.
        settings: of the run.
        device: where it computes.
        name: what messages call the structure image, unless it is a file.

    Raises:
        InputError: the structure image cannot be read.
        RunError: the size is `auto`, and there is no memory for any.
    """
    if isinstance(settings.size, int):
        return settings.size
    width, height = size_of(structure, name)
    return largest_size(height, width, device, settings)


def read_at_most(
    picture: AnyPicture, size: int, name: str = WORDS
) -> Float[Tensor, "3 height width"]:
    """The picture, its short side cut down to `size` pixels, never enlarged."""
    return as_image(picture, name, short_side=size)


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
