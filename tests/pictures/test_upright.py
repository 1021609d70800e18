"""Orientation, against the table of EXIF."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from picture_files import noise, pixels
from PIL import Image

from splice.pictures.images import read_image

pytestmark = pytest.mark.robustness


# Orientation, against the EXIF table

UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("mark", UPRIGHT)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_orientation(tmp_path: Path, mark: int, suffix: str) -> None:
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :24], stored[:16, 24:], stored[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = mark
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(stored).save(path, exif=exif, quality=95)
    image = pixels(read_image(path))
    expected = UPRIGHT[mark](stored) / 255
    assert image.shape == expected.shape
    assert np.abs(image - expected).mean() < 0.03
    small = read_image(path, short_side=16)
    assert small.shape[1:] == ((16, 24) if mark < 5 else (24, 16))


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\0" * 40])
def test_damaged_orientation_is_ignored(tmp_path: Path, exif: bytes) -> None:
    values = noise(16, 24, 3)
    Image.fromarray(values).save(tmp_path / "plain.png", exif=exif)
    np.testing.assert_allclose(pixels(read_image(tmp_path / "plain.png")), values / 255, atol=1e-6)
