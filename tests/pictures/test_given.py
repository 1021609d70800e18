"""Pictures as programs hold them, against their own numbers and against their files."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import ADOBE_RGB, icc_profile, png_bytes
from PIL import Image

from splice.errors import InputError
from splice.pictures.given import as_image, kept_from, size_of
from splice.pictures.images import read_image

HEIGHT, WIDTH = 20, 30


def noise(channels: int, dtype: str = "u1", seed: int = 0) -> np.ndarray:
    most = np.iinfo(dtype).max
    shape = (HEIGHT, WIDTH, channels) if channels else (HEIGHT, WIDTH)
    return np.random.default_rng(seed).integers(0, most, shape, endpoint=True).astype(dtype)


def expected(values: np.ndarray) -> np.ndarray:
    """[height, width, 3] in [0, 1], from 8 or 16 bits, grey or colour, over white."""
    unit = values.astype(np.float64) / np.iinfo(values.dtype).max
    unit = unit.reshape(HEIGHT, WIDTH, -1)
    opacity = unit[..., 3:] if unit.shape[-1] == 4 else 1.0
    return np.broadcast_to(unit[..., :3] * opacity + (1 - opacity), (HEIGHT, WIDTH, 3))


@pytest.mark.parametrize("channels", [0, 1, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_arrays_and_tensors_of_whole_numbers(channels: int, dtype: str) -> None:
    values = noise(channels, dtype)
    image = as_image(values)
    assert image.dtype == torch.float32 and image.shape == (3, HEIGHT, WIDTH)
    np.testing.assert_allclose(image.permute(1, 2, 0), expected(values), atol=1e-6)
    tensor = torch.from_numpy(np.moveaxis(values, -1, 0) if channels else values)
    torch.testing.assert_close(as_image(tensor), image, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_of_floats(dtype: type) -> None:
    values = (noise(3) / 255).astype(dtype)
    np.testing.assert_allclose(as_image(values).permute(1, 2, 0), values, atol=1e-6)
    tensor = torch.from_numpy(np.moveaxis(values, -1, 0).copy()).requires_grad_()
    np.testing.assert_allclose(as_image(tensor).permute(1, 2, 0), values, atol=1e-6)


def test_what_filters_leave_outside_is_clipped() -> None:
    values = np.full((HEIGHT, WIDTH, 3), 0.5)
    values[0, 0], values[0, 1] = -0.03, 1.04
    image = as_image(values)
    assert (image.min(), image.max()) == (0, 1)


def jpeg_with_orientation(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(3)).save(path, quality=95, exif=exif)


FILES = {
    "turned.jpg": jpeg_with_orientation,
    "adobe.png": lambda path: Image.fromarray(noise(3)).save(
        path, icc_profile=icc_profile(2.2, ADOBE_RGB)
    ),
    "clear.png": lambda path: path.write_bytes(png_bytes(noise(4))),
    "deep.png": lambda path: path.write_bytes(png_bytes(noise(1, "u2"))),
    "key.png": lambda path: path.write_bytes(png_bytes(noise(3, "u2"), transparent=(9, 9, 9))),
    "palette.gif": lambda path: Image.fromarray(noise(3)).quantize(16).save(path),
    "grey.tif": lambda path: Image.fromarray(noise(0)).save(path),
    "ink.jpg": lambda path: Image.fromarray(noise(4), "CMYK").save(path),
}


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("name", FILES)
def test_a_picture_of_pillow_is_read_as_its_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    FILES[name](path)
    with Image.open(path) as picture:
        before = dict(picture.info)
        torch.testing.assert_close(as_image(picture), read_image(path), rtol=0, atol=0)
        assert picture.info == before
        held, kept = kept_from(picture), kept_from(path)
    assert held.profile == kept.profile
    assert (held.opacity is None) == (kept.opacity is None)
    if held.opacity is not None and kept.opacity is not None:
        assert torch.equal(held.opacity, kept.opacity)
    torch.testing.assert_close(as_image(str(path)), read_image(path), rtol=0, atol=0)


def test_opacity_is_that_of_the_fourth_channel(tmp_path: Path) -> None:
    values = noise(4)
    path = tmp_path / "clear.png"
    path.write_bytes(png_bytes(values))
    pillow = Image.fromarray(values)
    tensor = torch.from_numpy(np.moveaxis(values, -1, 0))
    for given in (path, pillow, values, tensor):
        opacity = kept_from(given).opacity
        assert opacity is not None
        np.testing.assert_allclose(opacity, values[..., 3] / 255, atol=1e-7)
    values[..., 3] = 255
    assert kept_from(values).opacity is None
    assert kept_from(Image.fromarray(values)).opacity is None
    assert kept_from(noise(3)).opacity is None


def test_opacity_is_turned_with_the_picture() -> None:
    values = noise(4)
    exif = Image.Exif()
    exif[0x0112] = 6  # its right side is up
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", exif=exif)
    opacity = kept_from(Image.open(buffer)).opacity
    assert opacity is not None
    np.testing.assert_allclose(opacity, np.rot90(values[..., 3], -1) / 255, atol=1e-7)


def test_sizes(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png_bytes(noise(3)))
    tensor = torch.zeros(3, HEIGHT, WIDTH)
    for given in (path, str(path), Image.fromarray(noise(3)), noise(3), noise(0), tensor):
        assert size_of(given) == (WIDTH, HEIGHT)
        assert as_image(given, short_side=17).shape == (3, 17, 26)
        assert as_image(given, short_side=500).shape == (3, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((3, 20, 30), "u1"), ["(3, 20, 30)", "height x width x channels"]),
        (torch.zeros(20, 30, 3), ["(20, 30, 3)", "channels x height x width"]),
        (np.zeros((1, 20, 30, 3), "u1"), ["(1, 20, 30, 3)"]),
        (np.full((20, 30, 3), 255.0), ["255", "[0, 1]", "uint8"]),
        (np.full((20, 30, 3), -1.0), ["-1", "[0, 1]"]),
        (np.full((20, 30, 3), np.nan), ["missing", "[0, 1]"]),
        (np.zeros((20, 30, 3), "i8"), ["int64", "uint8"]),
        (torch.zeros(3, 20, 30, dtype=torch.bool), ["bool", "uint8"]),
        (np.zeros((9, 30, 3), "u1"), ["30 x 9", "at least 16"]),
        (Image.new("RGB", (15, 40)), ["15 x 40", "at least 16"]),
    ],
)
def test_what_is_no_picture(given: object, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        as_image(given, "the structure image")  # type: ignore[arg-type]
    text = str(caught.value)
    assert text.startswith("the structure image ") and text.endswith(".") and "\n" not in text
    for word in words:
        assert word in text


def test_a_truncated_picture_of_pillow() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(noise(3), (4, 4, 1))).save(buffer, "JPEG")
    half = Image.open(io.BytesIO(buffer.getvalue()[: len(buffer.getvalue()) // 2]))
    with pytest.raises(InputError, match="the picture is damaged or incomplete"):
        as_image(half)
