"""Reading pictures of every format and size, and every kind of file that is refused."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from picture_files import make_loop, noise, pixels, png_bytes, png_chunk, png_header, put
from PIL import Image, features
from told import assert_one_sentence

from splice.errors import InputError
from splice.pictures.images import check_picture, read_image, resize_short_side

pytestmark = pytest.mark.robustness


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
