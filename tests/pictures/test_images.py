"""Pictures in and out, against formulae, hand-made files and the file formats' own rules."""

import errno
import io
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_files import (
    ADOBE_RGB,
    SRGB,
    icc_profile,
    png_bytes,
    png_chunk,
    png_header,
    srgb_encoded,
    tiff_bytes,
)
from PIL import Image, features

from splice.errors import InputError, RunError
from splice.pictures.images import (
    check_picture,
    read_image,
    resize_short_side,
    to_pil,
    write_atomically,
    write_image,
)

pytestmark = pytest.mark.robustness

LEVEL = 1 / 255
TIFF_KINDS = [(1, kind) for kind in ("u1", "<u2", ">u2", "<f4", ">f4")]
TIFF_KINDS += [(2, "u1"), (3, "u1"), (3, "<u2"), (3, ">u2"), (4, "u1"), (4, "<u2")]
quick = settings(
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def noise(height: int, width: int, channels: int, dtype: str = "u1", seed: int = 0) -> np.ndarray:
    kind = np.dtype(dtype)
    random = np.random.default_rng(seed)
    if kind.kind == "f":
        return random.random((height, width, channels)).astype(kind)
    most = np.iinfo(kind).max
    return random.integers(0, most, (height, width, channels), endpoint=True).astype(kind)


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def pixels(image: torch.Tensor) -> np.ndarray:
    """A picture as [height, width, 3] in float64."""
    return image.permute(1, 2, 0).double().numpy()


def assert_one_sentence(error: BaseException, *mentions: str) -> None:
    text = str(error)
    assert "\n" not in text and text.endswith("."), text
    for mention in mentions:
        assert mention in text, text


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


# Formats and sizes


@pytest.mark.parametrize(
    ("suffix", "options", "tolerance"),
    [
        ("jpg", {"quality": 95}, 0.02),
        ("png", {}, 1e-6),
        ("webp", {"quality": 95}, 0.02),
        ("webp", {"lossless": True}, 1e-6),
        ("tif", {"compression": "tiff_lzw"}, 1e-6),
        ("tif", {"compression": "tiff_deflate"}, 1e-6),
        ("tif", {"big_tiff": True}, 1e-6),
        ("bmp", {}, 1e-6),
        ("avif", {"quality": 95}, 0.02),
        ("ppm", {}, 1e-6),
    ],
)
def test_formats(tmp_path: Path, suffix: str, options: dict[str, object], tolerance: float) -> None:
    if suffix in ("webp", "avif") and not features.check(suffix):
        pytest.skip(f"this Pillow has no {suffix}")
    smooth = Image.fromarray(noise(4, 6, 3)).resize((48, 32), Image.Resampling.BICUBIC)
    path = tmp_path / f"picture.{suffix}"
    smooth.save(path, **options)
    difference = np.abs(pixels(read_image(path)) - np.asarray(smooth) / 255)
    assert difference.mean() <= tolerance
    assert check_picture(path) == (48, 32)


def test_format_is_told_by_content_not_suffix(tmp_path: Path) -> None:
    values = noise(16, 16, 3)
    path = put(tmp_path, "really-a-png.jpg", png_bytes(values))
    np.testing.assert_allclose(pixels(read_image(path)), values / 255, atol=1e-6)


def test_heic(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    smooth = Image.fromarray(noise(4, 6, 3)).resize((48, 32), Image.Resampling.BICUBIC)
    path = tmp_path / "picture.heic"
    pillow_heif.from_pillow(smooth).save(path, quality=95)
    assert np.abs(pixels(read_image(path)) - np.asarray(smooth) / 255).mean() < 0.03
    assert check_picture(path) == (48, 32)


def test_heic_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = put(tmp_path, "phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 400)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert_one_sentence(caught.value, str(path), "splice-vit[heic]")


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    for suffix in ("gif", "png", "webp"):
        path = tmp_path / f"moving.{suffix}"
        options = {"lossless": True} if suffix == "webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(read_image(path).mean((1, 2)), [1, 0, 0])


@pytest.mark.parametrize(
    ("width", "height"), [(16, 16), (16, 128), (1024, 128), (8000, 16), (16, 8000)]
)
def test_narrow_pictures(tmp_path: Path, width: int, height: int) -> None:
    values = noise(height, width, 3)
    path = put(tmp_path, "narrow.png", png_bytes(values))
    np.testing.assert_allclose(pixels(read_image(path)), values / 255, atol=1e-6)


@pytest.mark.parametrize(("width", "height"), [(1504, 1000), (1501, 1003)])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_short_side_decodes_as_resizing_does(
    tmp_path: Path, width: int, height: int, suffix: str
) -> None:
    smooth = Image.fromarray(noise(30, 45, 3)).resize((width, height), Image.Resampling.BICUBIC)
    path = tmp_path / f"large.{suffix}"
    smooth.save(path, quality=95)
    whole = resize_short_side(read_image(path), 100)
    direct = read_image(path, short_side=100)
    assert direct.shape == whole.shape == (3, 100, 150)
    assert (direct - whole).abs().max() < 0.02
    with pytest.raises(InputError, match="short side"):
        read_image(path, short_side=0)


def test_resized_picture_stays_within_the_limit(tmp_path: Path) -> None:
    path = put(tmp_path, "strip.png", png_bytes(noise(16, 4000, 3)))
    with pytest.raises(InputError) as caught:
        read_image(path, short_side=1000)
    assert_one_sentence(caught.value, str(path), "64,000,000")


# Refusals: every kind of file that is no picture


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def make_socket(path: Path) -> None:
    # A relative bind: the address of a socket is short.
    code = f"import os, socket; os.chdir({str(path.parent)!r}); "
    code += f"socket.socket(socket.AF_UNIX).bind({path.name!r})"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def truncated(suffix: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        buffer = io.BytesIO()
        Image.fromarray(noise(64, 64, 3)).save(buffer, suffix)
        path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])

    return make


REFUSALS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("absent.png", lambda path: None, "does not exist"),
    "dangling link": ("link.png", lambda path: path.symlink_to("nowhere"), "does not exist"),
    "empty": ("empty.png", lambda path: path.write_bytes(b""), "empty"),
    "text": ("notes.txt", lambda path: path.write_text("hello\n" * 99), "not a picture"),
    "text named jpg": ("notes.jpg", lambda path: path.write_text("hello\n"), "not a picture"),
    "one byte": ("one.jpg", lambda path: path.write_bytes(b"\xff"), "not a picture"),
    "postscript": ("drawing.eps", lambda path: path.write_text("%!PS-Adobe-3.0"), "not a picture"),
    "folder": ("folder.png", lambda path: path.mkdir(), "is a folder"),
    "pipe": ("pipe.png", make_pipe, "named pipe"),
    "socket": ("socket.png", make_socket, "socket"),
    "loop": ("loop.png", make_loop, "circle"),
    "in a file": ("file.png/inner.png", lambda path: path.parent.write_bytes(b"x"), "director"),
    "one pixel": ("dot.png", lambda path: Image.new("RGB", (1, 1)).save(path), "at least 16"),
    "15 wide": ("thin.png", lambda path: Image.new("RGB", (15, 99)).save(path), "at least 16"),
    "bomb": ("bomb.png", lambda path: path.write_bytes(png_header(10_000, 9_000)), "64,000,000"),
    "huge bomb": ("bomb.png", lambda path: path.write_bytes(png_header(60_000, 60_000)), "pixels"),
    "header alone": ("head.png", lambda path: path.write_bytes(png_header(64, 64)[:40]), "damaged"),
    "name too long": ("n" * 300 + ".png", lambda path: None, "too long"),
    **{
        f"half a {suffix}": (f"half.{suffix}", truncated(suffix), "damaged")
        for suffix in ("jpeg", "png", "webp", "tiff", "bmp", "gif", "avif", "ppm")
        if suffix not in ("webp", "avif") or features.check(suffix)
    },
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("case", REFUSALS)
def test_refusal(tmp_path: Path, case: str) -> None:
    name, make, reason = REFUSALS[case]
    path = tmp_path / name
    make(path)
    for short_side in (None, 64):
        with pytest.raises(InputError) as caught:
            read_image(path, short_side=short_side)
        assert_one_sentence(caught.value, str(path), reason)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty", "/proc/self/mem"])
def test_device_is_refused(device: str) -> None:
    if not Path(device).exists():
        pytest.skip(f"no {device} here")
    with pytest.raises(InputError) as caught:
        read_image(device)
    assert_one_sentence(caught.value, device)


def test_null_byte_in_a_name() -> None:
    with pytest.raises(InputError):
        read_image("bad\0name.png")


def test_file_far_larger_than_its_pixels(tmp_path: Path) -> None:
    path = put(tmp_path, "padded.png", png_bytes(noise(16, 16, 3)))
    with path.open("r+b") as file:
        file.truncate(2**32)  # sparse
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert_one_sentence(caught.value, str(path), "bytes")


def test_limit_of_pixels_is_the_callers(tmp_path: Path) -> None:
    path = put(tmp_path, "picture.png", png_bytes(noise(20, 20, 3)))
    assert read_image(path, max_pixels=400).shape == (3, 20, 20)
    with pytest.raises(InputError, match="399"):
        read_image(path, max_pixels=399)


def test_long_comment_is_no_obstacle(tmp_path: Path) -> None:
    values = noise(16, 16, 3)
    data = png_bytes(values, tEXt=b"Comment\0" + b"x" * 100_000)
    np.testing.assert_allclose(
        pixels(read_image(put(tmp_path, "comment.png", data))), values / 255, atol=1e-6
    )
    assert png_chunk(b"IEND", b"") in data


# Resizing


@settings(max_examples=60, derandomize=True)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 64))
def test_short_side_is_met_and_aspect_kept(height: int, width: int, size: int) -> None:
    resized = resize_short_side(torch.rand(3, height, width), size)
    new_height, new_width = resized.shape[1:]
    assert min(new_height, new_width) == size
    exact = max(height, width) * size / min(height, width)
    assert abs(max(new_height, new_width) - exact) <= 0.5
    assert (new_height <= new_width) == (height <= width) or new_height == new_width
    assert resized.min() >= 0 and resized.max() <= 1


@pytest.mark.parametrize("shape", [(16, 4000), (4000, 16), (1, 200), (200, 1)])
def test_extreme_aspect(shape: tuple[int, int]) -> None:
    for size in (1, 8, 20):
        resized = resize_short_side(torch.full((3, *shape), 0.25), size)
        assert min(resized.shape[1:]) == size
        np.testing.assert_allclose(resized, 0.25, atol=1e-5)


def cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -0.5, the one that antialiased resizing uses."""
    d = np.abs(distance)
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def resize_line(line: np.ndarray, size: int) -> np.ndarray:
    scale = len(line) / size
    stretch = max(scale, 1.0)
    result = np.empty(size)
    for index in range(size):
        centre = (index + 0.5) * scale
        first = max(int(centre - 2 * stretch + 0.5), 0)
        last = min(int(centre + 2 * stretch + 0.5), len(line))
        weights = cubic((np.arange(first, last) + 0.5 - centre) / stretch)
        result[index] = weights @ line[first:last] / weights.sum()
    return result


@pytest.mark.parametrize("size", [5, 13, 24, 40])
def test_resizing_is_the_antialiased_cubic(size: int) -> None:
    image = torch.rand(3, 24, 36, generator=torch.Generator().manual_seed(0))
    resized = resize_short_side(image, size)
    for channel in range(3):
        rows = np.array(
            [resize_line(row, (size * 36 + 12) // 24) for row in image[channel].double().numpy()]
        )
        both = np.array([resize_line(column, size) for column in rows.T]).T
        np.testing.assert_allclose(resized[channel], both.clip(0, 1), atol=2e-5)


def test_resizing_refuses_no_size() -> None:
    for size in (0, -3):
        with pytest.raises(InputError, match="at least 1"):
            resize_short_side(torch.rand(3, 16, 16), size)


# Writing


def test_png_gives_back_every_level(tmp_path: Path) -> None:
    levels = torch.arange(256).reshape(16, 16)
    image = torch.stack([levels, levels.T, 255 - levels]) / 255
    write_image(tmp_path / "levels.png", image)
    torch.testing.assert_close(read_image(tmp_path / "levels.png"), image, rtol=0, atol=1e-7)


def test_writing_is_deterministic_and_leaves_nothing_else(tmp_path: Path) -> None:
    image = torch.rand(3, 40, 30)
    for suffix in ("png", "jpg", "jpeg"):
        for name in ("first", "second"):
            write_image(tmp_path / f"{name}.{suffix}", image)
        first, second = (tmp_path / f"{name}.{suffix}" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert len(list(tmp_path.iterdir())) == 6
    assert (read_image(tmp_path / "first.jpg") - image).abs().mean() < 0.02


def test_values_are_rounded_and_clipped() -> None:
    image = torch.tensor([-1.0, 0.49 / 255, 0.51 / 255, 254.6 / 255, 7.0]).expand(3, 1, 5)
    np.testing.assert_array_equal(np.asarray(to_pil(image))[0, :, 0], [0, 0, 1, 255, 255])


def test_picture_that_needs_gradients_is_written(tmp_path: Path) -> None:
    write_image(tmp_path / "graph.png", torch.rand(3, 16, 16, requires_grad=True))
    assert read_image(tmp_path / "graph.png").shape == (3, 16, 16)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_values_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    image = torch.zeros(3, 16, 16)
    image[0, 0, 0] = bad
    with pytest.raises(RunError, match="not finite"):
        write_image(tmp_path / "bad.png", image)
    assert not list(tmp_path.iterdir())


def test_unknown_suffix(tmp_path: Path) -> None:
    for name in ("picture.tga", "picture", ".png"):
        with pytest.raises(InputError) as caught:
            write_image(tmp_path / name, torch.zeros(3, 16, 16))
        assert_one_sentence(caught.value, str(tmp_path / name), ".png")


def test_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = put(tmp_path, "kept.txt", b"old")

    def fail(file: object) -> None:
        file.write(b"new, half")  # type: ignore[attr-defined]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.txt"]


def test_new_file_has_the_users_permissions(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", lambda file: file.write(b"x"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = put(tmp_path / "real", "file.txt", b"old")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    write_atomically(link, lambda file: file.write(b"new"))
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    put(tmp_path, "file", b"x")
    os.mkfifo(tmp_path / "pipe.png")
    make_loop(tmp_path / "loop.png")
    for name in ("folder.png", "file/in.png", "absent/in.png", "pipe.png", "loop.png"):
        with pytest.raises(InputError) as caught:
            write_image(tmp_path / name, torch.zeros(3, 16, 16))
        assert_one_sentence(caught.value, str(tmp_path / name))
    with pytest.raises(InputError, match="too long"):
        write_image(tmp_path / ("n" * 300 + ".png"), torch.zeros(3, 16, 16))
    names = {entry.name for entry in tmp_path.iterdir()}
    assert names == {"folder.png", "file", "pipe.png", "loop.png", "other"}


def test_device_is_not_replaced() -> None:
    with pytest.raises(InputError, match="regular"):
        write_atomically("/dev/null", lambda file: file.write(b"x"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_folder_without_permission(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(InputError, match="may write"):
        write_image(closed / "picture.png", torch.zeros(3, 16, 16))


def test_no_space(tmp_path: Path) -> None:
    path = put(tmp_path, "kept.png", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(RunError) as caught:
            write_image(path, torch.rand(3, 64, 64))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_one_sentence(caught.value, str(path), "no space")
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_errors_of_the_writer_are_explained(tmp_path: Path, number: int) -> None:
    def fail(file: object) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(RunError) as caught:
        write_atomically(tmp_path / "file", fail)
    assert_one_sentence(caught.value, str(tmp_path / "file"), os.strerror(number))
    assert not list(tmp_path.iterdir())
