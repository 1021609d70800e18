"""Damaged picture files give a picture or one clear sentence: no other exception, no hang."""

import functools
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import ADOBE_RGB, icc_profile, png_bytes, tiff_bytes
from PIL import Image, ImageCms, features

from splice.errors import SpliceError
from splice.pictures.images import check_picture, read_image

pytestmark = [pytest.mark.robustness, pytest.mark.timeout(120)]

ROUNDS = 50
LIMIT = 2**20
"""Pixels allowed, so that a damaged size does not turn the test into a test of patience."""


@functools.cache
def sound_files() -> dict[str, bytes]:
    """One small valid file of each kind, with profile and orientation where it has room."""
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (4, 6, 3), dtype=np.uint8))
    picture = small.resize((48, 32), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    marks = {"exif": exif.tobytes(), "icc_profile": icc_profile(2.2, ADOBE_RGB)}
    wanted: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "jpeg": (picture, "JPEG", marks),
        "jpeg progressive": (picture, "JPEG", {"progressive": True, **marks}),
        "jpeg inks": (picture.convert("CMYK"), "JPEG", {}),
        "png": (picture, "PNG", marks),
        "png palette": (picture.convert("P"), "PNG", {"transparency": bytes(range(200))}),
        "webp": (picture, "WEBP", marks),
        "webp lossless": (picture.convert("RGBA"), "WEBP", {"lossless": True}),
        "tiff": (picture, "TIFF", marks),
        "tiff lzw": (picture, "TIFF", {"compression": "tiff_lzw", **marks}),
        "tiff jpeg": (picture, "TIFF", {"compression": "jpeg"}),
        "tiff fax": (picture.convert("1"), "TIFF", {"compression": "group4"}),
        "bmp": (picture, "BMP", {}),
        "bmp palette": (picture.convert("P"), "BMP", {}),
        "gif": (picture, "GIF", {"save_all": True, "append_images": [small.resize((48, 32))]}),
        "avif": (picture, "AVIF", marks),
        "ppm": (picture, "PPM", {}),
    }
    files = {}
    for name, (source, kind, options) in wanted.items():
        if kind in ("WEBP", "AVIF") and not features.check(kind.lower()):
            continue
        buffer = io.BytesIO()
        source.save(buffer, kind, **options)
        files[name] = buffer.getvalue()
    values = random.integers(0, 2**16, (32, 48, 4)).astype("<u2")
    files["png 16 bit"] = png_bytes(values)
    files["tiff 16 bit"] = tiff_bytes(values[..., :1])
    files["tiff float"] = tiff_bytes((values[..., :1] / 2**16).astype("<f4"))
    lab = ImageCms.profileToProfile(
        picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    files["tiff lab"] = tiff_bytes(np.asarray(lab), photometric=8)
    return files


def read_or_explain(path: Path) -> bool:
    """True where a picture came out; what comes out must be whole and sound either way."""
    came_out = True
    for short_side in (None, 24):
        try:
            image = read_image(path, max_pixels=LIMIT, short_side=short_side)
        except SpliceError as error:
            came_out = False
            assert str(path) in str(error) and "\n" not in str(error) and str(error).endswith(".")
            continue
        assert image.shape[0] == 3 and image.shape[1] * image.shape[2] <= LIMIT
        assert image.dtype == torch.float32 and bool(image.isfinite().all())
        assert image.min() >= 0 and image.max() <= 1
    try:
        check_picture(path, max_pixels=LIMIT)
    except SpliceError:
        assert not came_out
    return came_out


@pytest.mark.parametrize("name", sound_files())
def test_sound_file_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "sound"
    path.write_bytes(sound_files()[name])
    assert read_or_explain(path)


@pytest.mark.parametrize("name", sound_files())
def test_flipped_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    sound = np.frombuffer(sound_files()[name], np.uint8)
    random = np.random.default_rng(1)
    path = tmp_path / "damaged"
    for _ in range(ROUNDS):
        data = sound.copy()
        # Half of the damage goes to the first bytes, where headers and sizes are.
        reach = len(data) if random.random() < 0.5 else min(len(data), 300)
        places = random.integers(0, reach, random.integers(1, 9))
        data[places] = random.integers(0, 256, len(places), dtype=np.uint8)
        path.write_bytes(data.tobytes())
        read_or_explain(path)
    assert capsys.readouterr() == ("", "")  # of Python: some decoders print from C


@pytest.mark.parametrize("name", sound_files())
def test_cut_and_spliced_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    sound = sound_files()[name]
    random = np.random.default_rng(2)
    path = tmp_path / "damaged"
    for _ in range(ROUNDS // 3):
        start, end = sorted(random.integers(0, len(sound), 2))
        for data in (sound[:end], sound[:start] + sound[end:], sound[:end] + sound[start:]):
            path.write_bytes(data)
            read_or_explain(path)
    assert capsys.readouterr() == ("", "")  # of Python: some decoders print from C


def test_damaged_heic(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8))
    pillow_heif.from_pillow(small.resize((48, 32))).save(buffer)
    sound = np.frombuffer(buffer.getvalue(), np.uint8)
    random = np.random.default_rng(3)
    path = tmp_path / "damaged"
    for _ in range(ROUNDS):
        data = sound.copy()
        places = random.integers(0, len(data), random.integers(1, 9))
        data[places] = random.integers(0, 256, len(places), dtype=np.uint8)
        path.write_bytes(data[: random.integers(1, 2 * len(data))].tobytes())
        read_or_explain(path)


@pytest.mark.parametrize("space", ["colour", "grey"])
def test_damaged_profile(tmp_path: Path, space: str) -> None:
    random = np.random.default_rng(4)
    sound = np.frombuffer(icc_profile(1.8, ADOBE_RGB if space == "colour" else None), np.uint8)
    shape = (20, 20, 3) if space == "colour" else (20, 20)
    picture = Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8))
    path = tmp_path / "profile.png"
    for _ in range(ROUNDS):
        data = sound.copy()
        places = random.integers(0, len(data), random.integers(1, 12))
        data[places] = random.integers(0, 256, len(places), dtype=np.uint8)
        picture.save(path, icc_profile=data.tobytes())
        # A profile is an aid: however damaged, the picture itself is read.
        assert read_or_explain(path)


def test_damaged_marks(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description that is long enough to live outside of its entry"
    sound = np.frombuffer(exif.tobytes(), np.uint8)
    picture = Image.fromarray(random.integers(0, 256, (20, 24, 3), dtype=np.uint8))
    for suffix in ("png", "jpg", "webp"):
        path = tmp_path / f"marks.{suffix}"
        for _ in range(ROUNDS // 2):
            data = sound.copy()
            places = random.integers(6, len(data), random.integers(1, 6))
            data[places] = random.integers(0, 256, len(places), dtype=np.uint8)
            picture.save(path, exif=data.tobytes())
            assert read_or_explain(path)


@pytest.mark.parametrize("length", [1, 2, 16, 300, 5000])
def test_noise_behind_each_signature(tmp_path: Path, length: int) -> None:
    random = np.random.default_rng(length)
    path = tmp_path / "noise"
    for start in (12, 30, 120):
        for sound in sound_files().values():
            path.write_bytes(sound[:start] + random.bytes(length))
            read_or_explain(path)
