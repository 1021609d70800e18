"""Colour profiles, against matrix and curve in float64."""

from pathlib import Path

import numpy as np
import pytest
from picture_files import (
    ADOBE_RGB,
    LEVEL,
    SRGB,
    icc_profile,
    noise,
    pixels,
    put,
    srgb_encoded,
    tiff_bytes,
)
from PIL import Image

from splice.pictures.images import read_image

pytestmark = pytest.mark.robustness


# Colour profiles, against matrix and curve in float64


@pytest.mark.parametrize(("name", "suffix"), [("PNG", "png"), ("TIFF", "tif"), ("WEBP", "webp")])
@pytest.mark.parametrize("gamma", [1.0, 2.199])
def test_colour_profile(tmp_path: Path, name: str, suffix: str, gamma: float) -> None:
    values = noise(24, 24, 3)
    path = tmp_path / f"wide.{suffix}"
    options = {"lossless": True} if name == "WEBP" else {}
    Image.fromarray(values).save(path, name, icc_profile=icc_profile(gamma, ADOBE_RGB), **options)
    linear = (values / 255.0) ** (round(gamma * 256) / 256)
    unclipped = linear @ (np.linalg.inv(SRGB) @ ADOBE_RGB).T
    inside = ((unclipped > 0.002) & (unclipped < 1)).all(axis=2)
    assert inside.sum() > 100
    expected = srgb_encoded(unclipped)
    np.testing.assert_allclose(
        pixels(read_image(path))[inside], expected[inside], rtol=0, atol=3 * LEVEL
    )
    assert np.abs(expected - values / 255).max() > 0.05  # the profile matters


@pytest.mark.parametrize("depth", ["u1", "u2"])
def test_grey_profile(tmp_path: Path, depth: str) -> None:
    values = np.linspace(0, np.iinfo(depth).max, 1024).astype(depth).reshape(32, 32, 1)
    data = tiff_bytes(values, icc=icc_profile(1.0))
    expected = srgb_encoded(values.astype(np.float64) / np.iinfo(depth).max)
    image = read_image(put(tmp_path, "grey.tif", data))
    bright = values[..., 0] > 0.06 * np.iinfo(depth).max  # 8 bits of a steep curve are coarse
    np.testing.assert_allclose(
        pixels(image)[bright], np.repeat(expected, 3, 2)[bright], rtol=0, atol=3 * LEVEL
    )


def test_profile_keeps_transparency(tmp_path: Path) -> None:
    values = noise(16, 16, 4)
    values[:, :8, 3] = 0
    values[:, 8:, 3] = 255
    profile = icc_profile(1.0, SRGB)
    Image.fromarray(values).save(tmp_path / "clear.png", icc_profile=profile)
    image = pixels(read_image(tmp_path / "clear.png"))
    np.testing.assert_array_equal(image[:, :8], 1)
    bright = (values[:, 8:, :3] > 10).all(axis=2)
    np.testing.assert_allclose(
        image[:, 8:][bright],
        srgb_encoded(values[:, 8:, :3] / 255)[bright],
        rtol=0,
        atol=2 * LEVEL,
    )


@pytest.mark.parametrize(
    "profile",
    [
        b"not a profile",
        b"\0" * 128,
        icc_profile(1.0, SRGB)[:200],
        icc_profile(1.0),  # grey, in a colour picture
        b"\xff" * 4096,
    ],
)
def test_useless_profile_is_ignored(tmp_path: Path, profile: bytes) -> None:
    values = noise(16, 16, 3)
    Image.fromarray(values).save(tmp_path / "plain.png", icc_profile=profile)
    np.testing.assert_allclose(pixels(read_image(tmp_path / "plain.png")), values / 255, atol=1e-6)


def test_colour_profile_in_grey_picture(tmp_path: Path) -> None:
    values = noise(16, 16, 1)[..., 0]
    Image.fromarray(values).save(tmp_path / "grey.png", icc_profile=icc_profile(1.0, SRGB))
    expected = srgb_encoded(values / 255)
    bright = values > 10
    np.testing.assert_allclose(
        read_image(tmp_path / "grey.png")[1].numpy()[bright], expected[bright], atol=2 * LEVEL
    )
