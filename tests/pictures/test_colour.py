"""Values of pictures of every mode and depth, against the numbers written into their files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_files import LEVEL, noise, pixels, png_bytes, put, srgb_encoded, tiff_bytes
from PIL import Image
from told import assert_one_sentence

from splice.errors import InputError
from splice.pictures.images import read_image

pytestmark = pytest.mark.robustness
TIFF_KINDS = [(1, kind) for kind in ("u1", "<u2", ">u2", "<f4", ">f4")]
TIFF_KINDS += [(2, "u1"), (3, "u1"), (3, "<u2"), (3, ">u2"), (4, "u1"), (4, "<u2")]
quick = settings(
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


# Values, against the numbers written into the file


@quick
@given(
    height=st.integers(16, 60),
    width=st.integers(16, 60),
    channels=st.integers(1, 4),
    depth=st.sampled_from(["u1", "u2"]),
    seed=st.integers(0, 99),
)
def test_png_values(
    tmp_path: Path, height: int, width: int, channels: int, depth: str, seed: int
) -> None:
    values = noise(height, width, channels, depth, seed)
    image = read_image(put(tmp_path, "picture.png", png_bytes(values)))
    unit = values.astype(np.float64) / np.iinfo(values.dtype).max
    opacity = unit[..., -1:] if channels in (2, 4) else 1.0
    colour = unit[..., :1] if channels < 3 else unit[..., :3]
    expected = np.broadcast_to(colour * opacity + (1 - opacity), (height, width, 3))
    assert image.shape == (3, height, width) and image.dtype == torch.float32
    exact = depth == "u1" and channels in (1, 3)
    grey16 = depth == "u2" and channels == 1
    # 16 bits cut to 8 are up to a level off in colour and in opacity, and their mix is rounded.
    tolerance = 1e-7 if exact else 1e-6 if grey16 else 2.51 * LEVEL
    np.testing.assert_allclose(pixels(image), expected, rtol=0, atol=tolerance)


@quick
@given(
    height=st.integers(16, 60),
    width=st.integers(16, 60),
    kind=st.sampled_from(TIFF_KINDS),
    seed=st.integers(0, 99),
)
def test_tiff_values(
    tmp_path: Path, height: int, width: int, kind: tuple[int, str], seed: int
) -> None:
    channels, depth = kind
    values = noise(height, width, channels, depth, seed)
    image = read_image(put(tmp_path, "picture.tif", tiff_bytes(values)))
    top = 1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    unit = values.astype(np.float64) / top
    opacity = unit[..., -1:] if channels in (2, 4) else 1.0
    colour = unit[..., :1] if channels < 3 else unit[..., :3]
    expected = np.broadcast_to(colour * opacity + (1 - opacity), (height, width, 3))
    tolerance = 1e-6 if channels == 1 else 2.01 * LEVEL
    np.testing.assert_allclose(pixels(image), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("values", "white"),
    [
        (np.linspace(0, 200, 16 * 16).astype("<i4"), 255),
        (np.linspace(0, 40_000, 16 * 16).astype("<i4"), 65_535),
        (np.linspace(0, 2**30, 16 * 16).astype("<i4"), 2**31 - 1),
        (np.linspace(0, 1, 16 * 16).astype("<f4"), 1),
        (np.linspace(-0.1, 1.2, 16 * 16).astype("<f4"), 1),
        (np.linspace(0, 250, 16 * 16).astype("<f4"), 255),
    ],
)
def test_white_of_depths_without_one(tmp_path: Path, values: np.ndarray, white: int) -> None:
    image = read_image(put(tmp_path, "deep.tif", tiff_bytes(values.reshape(16, 16, 1))))
    expected = np.clip(values.reshape(16, 16).astype(np.float64) / white, 0, 1)
    np.testing.assert_allclose(image[0].double().numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_values_of_no_picture_are_refused(tmp_path: Path, bad: float) -> None:
    values = np.zeros((16, 16, 1), "<f4")
    values[3, 3] = bad
    path = put(tmp_path, "strange.tif", tiff_bytes(values))
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert_one_sentence(caught.value, str(path), "[0, 1]")


def test_one_bit(tmp_path: Path) -> None:
    bits = noise(20, 24, 1)[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / "bits.png")
    expected = np.repeat(bits[..., None].astype(float), 3, axis=2)
    np.testing.assert_array_equal(pixels(read_image(tmp_path / "bits.png")), expected)


def test_palette_with_transparent_entries(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    indices = random.integers(0, 7, (20, 24), dtype=np.uint8)
    palette = random.integers(0, 256, (7, 3), dtype=np.uint8)
    opacity = np.array([0, 40, 80, 120, 160, 200, 255])
    picture = Image.fromarray(indices)
    picture.putpalette(palette.tobytes())
    picture.save(tmp_path / "palette.png", transparency=bytes(opacity.tolist()))
    alpha = opacity[indices][..., None] / 255
    expected = palette[indices] / 255 * alpha + (1 - alpha)
    np.testing.assert_allclose(
        pixels(read_image(tmp_path / "palette.png")), expected, rtol=0, atol=1.01 * LEVEL
    )


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (noise(16, 16, 1), 1),
        (noise(16, 16, 1, "u2"), 1),
        (noise(16, 16, 3), 3),
        (noise(16, 16, 3, "u2"), 3),
    ],
)
def test_transparent_colour_of_png(tmp_path: Path, values: np.ndarray, key: int) -> None:
    transparent = tuple(int(value) for value in values[2, 3])
    image = read_image(put(tmp_path, "key.png", png_bytes(values, transparent)))
    assert len(transparent) == key
    np.testing.assert_array_equal(image[:, 2, 3], 1)
    expected = values[5, 5] / np.iinfo(values.dtype).max
    np.testing.assert_allclose(image[:, 5, 5], np.broadcast_to(expected, 3), atol=LEVEL)


def test_inks(tmp_path: Path) -> None:
    inks = noise(20, 24, 4)
    Image.frombytes("CMYK", inks.shape[1::-1], inks.tobytes()).save(tmp_path / "inks.tif")
    unit = inks / 255
    expected = (1 - unit[..., :3]) * (1 - unit[..., 3:])
    np.testing.assert_allclose(
        pixels(read_image(tmp_path / "inks.tif")), expected, rtol=0, atol=1.5 * LEVEL
    )


def test_inks_in_jpeg(tmp_path: Path) -> None:
    inks = np.zeros((32, 32, 4), np.uint8) + np.array([200, 30, 60, 20], np.uint8)
    Image.frombytes("CMYK", inks.shape[1::-1], inks.tobytes()).save(
        tmp_path / "inks.jpg", quality=95
    )
    expected = (1 - inks[0, 0, :3] / 255) * (1 - 20 / 255)
    image = read_image(tmp_path / "inks.jpg")
    np.testing.assert_allclose(image.mean((1, 2)), expected, atol=3 * LEVEL)


def test_lab(tmp_path: Path) -> None:
    lightness = np.linspace(0, 255, 256).round().astype(np.uint8).reshape(16, 16, 1)
    lab = np.concatenate([lightness, np.zeros((16, 16, 2), np.uint8)], axis=2)
    image = read_image(put(tmp_path, "lab.tif", tiff_bytes(lab, photometric=8)))
    level = lightness[..., 0] / 255 * 100  # CIE L*, inverted to luminance
    luminance = np.where(level > 8, ((level + 16) / 116) ** 3, level * 27 / 24389)
    expected = np.repeat(srgb_encoded(luminance)[..., None], 3, axis=2)
    np.testing.assert_allclose(pixels(image), expected, rtol=0, atol=2.5 * LEVEL)
