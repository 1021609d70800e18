"""What is written into picture files, against the formats' own rules and closed forms."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import ADOBE_RGB, SRGB, icc_profile, noise, png_bytes
from PIL import Image, ImageCms

from splice.errors import InputError, RunError
from splice.pictures.encoding import unblended, write_image
from splice.pictures.images import read_image
from splice.pictures.kept import Kept, read_kept
from splice.pictures.png_text import read_text, with_text

# Adapted to D50 (Bradford), as published by B. Lindbloom.
PROPHOTO_RGB = np.array(
    [[0.7976749, 0.1351917, 0.0313534], [0.2880402, 0.7118741, 0.0000857], [0.0, 0.0, 0.82521]]
)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def picture(height: int = 40, width: int = 30, seed: int = 0) -> torch.Tensor:
    """Smooth blobs of colour, 3 × height × width."""
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]


def ramp(height: int = 40, width: int = 30) -> torch.Tensor:
    """Opacity from 0 at the left to 1 at the right, clear in the first two columns."""
    return (torch.linspace(-0.1, 1, width).clamp_min(0)).expand(height, width).contiguous()


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        name, content = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", png[place + 8 + length : place + 12 + length])
        assert check == zlib.crc32(name + content)
        found.append((name, content))
        place += 12 + length
    return found


def decoded(png: bytes) -> np.ndarray:
    """Values of a PNG, [height, width, channels], by the rules of the specification's section 9."""
    parts = chunks(png)
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", dict(parts)[b"IHDR"])
    assert not interlaced
    pixel = {2: 3, 6: 4}[kind] * depth // 8
    raw = zlib.decompress(b"".join(content for name, content in parts if name == b"IDAT"))
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * pixel)
    result = np.zeros((height + 1, (1 + width) * pixel), int)
    for y, (method, *values) in enumerate(rows.tolist(), 1):
        for x, value in enumerate(values, pixel):
            left, up, corner = result[y, x - pixel], result[y - 1, x], result[y - 1, x - pixel]
            estimate = left + up - corner
            nearest = min(
                (abs(estimate - n), order, n) for order, n in enumerate((left, up, corner))
            )
            guess = (0, left, up, (left + up) // 2, nearest[2])[method]
            result[y, x] = (value + guess) % 256
    data = result[1:, pixel:].astype(np.uint8).tobytes()
    return np.frombuffer(data, ">u2" if depth == 16 else "u1").reshape(height, width, -1)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_picture_back(tmp_path: Path, suffix: str) -> None:
    image, path = picture(), tmp_path / f"picture{suffix}"
    write_image(path, image)
    difference = (read_image(path) - image).abs()
    lossless = suffix in (".png", ".tif", ".tiff")
    assert difference.max() <= 0.501 / 255 if lossless else difference.mean() < 0.01
    kinds = {".jpeg": "JPEG", ".jpg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
    with Image.open(path) as opened:
        assert opened.format == kinds.get(suffix, suffix[1:].upper())
        assert opened.mode == "RGB" and "icc_profile" not in opened.info


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_picture_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    kept = Kept(ramp(), icc_profile(2.2, ADOBE_RGB))
    for name in "ab":
        write_image(tmp_path / f"{name}{suffix}", picture(), kept=kept, texts={"Splice": "x"})
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_16_bits_are_all_there(tmp_path: Path) -> None:
    image = picture()
    image[:, 0, 0], image[:, 0, 1] = -0.5, 1.5
    write_image(tmp_path / "deep.png", image, depth=16)
    data = (tmp_path / "deep.png").read_bytes()
    values = decoded(data)
    levels = np.round(image.permute(1, 2, 0).double().numpy().clip(0, 1) * 65535)
    assert values.dtype == ">u2"
    assert np.abs(values.astype(float) - levels).max() <= 1
    assert len(np.unique(values)) > 256 * 3
    assert dict(chunks(data))[b"sRGB"] == b"\0"
    assert (read_image(tmp_path / "deep.png") - image.clamp(0, 1)).abs().max() < 1.01 / 255


def test_16_bits_keep_opacity_and_words(tmp_path: Path) -> None:
    image, opacity = picture(), ramp()
    path = tmp_path / "deep.png"
    write_image(path, image, kept=Kept(opacity), depth=16, texts={"Splice": "how"})
    unit = decoded(path.read_bytes()).astype(float) / 65535
    np.testing.assert_allclose(unit[..., 3], opacity, atol=1e-5)
    over_white = unit[..., :3] * unit[..., 3:] + 1 - unit[..., 3:]
    whites = opacity.numpy()[..., None]
    # Brighter than the white that shines through, as a painting over it may not be, is clipped.
    wanted = np.maximum(image.permute(1, 2, 0).numpy(), 1 - whites)
    np.testing.assert_allclose(over_white[:, 3:], wanted[:, 3:], atol=1e-4)
    assert read_text(path, "Splice") == "how"


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_16_bits_are_for_png(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match=r"--depth 16: name it \.png"):
        write_image(tmp_path / f"deep{suffix}", picture(), depth=16)
    assert not list(tmp_path.iterdir())


def test_values_that_are_not_finite_have_no_16_bits_either(tmp_path: Path) -> None:
    for kept in (Kept(), Kept(ramp())):
        with pytest.raises(RunError, match="not finite"):
            write_image(tmp_path / "bad.png", picture() * torch.nan, kept=kept, depth=16)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_is_kept_and_over_white_nothing_changes(tmp_path: Path, suffix: str) -> None:
    opacity = ramp()
    # A painting over white is at least as bright as the white that shines through.
    image = picture() * opacity + 1 - opacity
    write_image(tmp_path / f"clear{suffix}", image, kept=Kept(opacity))
    with Image.open(tmp_path / f"clear{suffix}") as opened:
        values = np.asarray(opened.convert("RGBA")).astype(float) / 255
        assert opened.mode == "RGBA"
    np.testing.assert_allclose(values[..., 3], opacity, atol=0.51 / 255)
    over_white = values[..., :3] * values[..., 3:] + 1 - values[..., 3:]
    tolerance = 0.08 if suffix == ".webp" else 1.5 / 255
    np.testing.assert_allclose(over_white, image.permute(1, 2, 0), atol=tolerance)


def test_colours_behind_transparency_are_those_that_were_painted() -> None:
    """So that a half clear edge has no pale rim over a dark page."""
    painted, opacity = picture(), ramp()
    image = painted * opacity + 1 - opacity
    found = unblended(image, opacity)
    there = opacity > 0.05
    torch.testing.assert_close(found[:, there], painted[:, there], rtol=0, atol=1e-5)
    torch.testing.assert_close(found[:, opacity == 0], image[:, opacity == 0], rtol=0, atol=0)


def test_opacity_follows_the_size_of_the_output(tmp_path: Path) -> None:
    opacity = torch.ones(80, 60)
    opacity[:, :30] = 0
    write_image(tmp_path / "half.png", picture(40, 30), kept=Kept(opacity))
    with Image.open(tmp_path / "half.png") as opened:
        alpha = np.asarray(opened.getchannel("A"))
    assert alpha.shape == (40, 30)
    assert (alpha[:, :13] == 0).all() and (alpha[:, 17:] == 255).all()


def test_a_jpeg_lies_on_white(tmp_path: Path) -> None:
    write_image(tmp_path / "plain.jpg", picture())
    write_image(tmp_path / "clear.jpg", picture(), kept=Kept(ramp()))
    assert (tmp_path / "plain.jpg").read_bytes() == (tmp_path / "clear.jpg").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_profile_is_embedded_and_the_colours_are_in_it(tmp_path: Path, suffix: str) -> None:
    profile = icc_profile(2.2, ADOBE_RGB)
    linear = np.array([0.2, 0.5, 0.1])
    encoded = torch.tensor(1.055 * linear ** (1 / 2.4) - 0.055, dtype=torch.float32)
    image = encoded[:, None, None].expand(3, 32, 32).contiguous()
    path = tmp_path / f"adobe{suffix}"
    write_image(path, image, kept=Kept(None, profile))
    with Image.open(path) as opened:
        assert opened.info["icc_profile"] == profile
        values = np.asarray(opened.convert("RGB")).astype(float).mean((0, 1)) / 255
    # The same light, in the primaries and with the gamma of the profile.
    in_adobe = np.linalg.solve(ADOBE_RGB, SRGB @ linear) ** (1 / 2.2)
    np.testing.assert_allclose(values, in_adobe, atol=1.6 / 255)
    np.testing.assert_allclose(read_image(path).mean((1, 2)), encoded, atol=2 / 255)
    if suffix == ".png":
        assert b"sRGB" not in dict(chunks(path.read_bytes()))


def test_transparency_and_profile_together(tmp_path: Path) -> None:
    opacity = torch.full((32, 32), 0.5)
    kept = Kept(opacity, icc_profile(2.2, ADOBE_RGB))
    image = torch.full((3, 32, 32), 0.75)  # of half a grey of 0.5 over white
    write_image(tmp_path / "both.png", image, kept=kept)
    with Image.open(tmp_path / "both.png") as opened:
        assert opened.mode == "RGBA" and opened.info["icc_profile"] == kept.profile
        alpha = np.asarray(opened)[..., 3]
    assert set(np.unique(alpha)) <= {127, 128}
    np.testing.assert_allclose(read_image(tmp_path / "both.png"), 0.75, atol=2 / 255)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("profile", [icc_profile(2.2, ADOBE_RGB), None])
@pytest.mark.parametrize("channels", [3, 4])
def test_pixels_that_nobody_changed_are_written_as_they_were(
    tmp_path: Path, suffix: str, profile: bytes | None, channels: int
) -> None:
    stored = noise(30, 40, channels)
    source = tmp_path / f"source{suffix}"
    Image.fromarray(stored).save(source, icc_profile=profile)
    image = read_image(source)
    image[:, :10] = 1 - image[:, :10]
    target = tmp_path / f"painted{suffix}"
    write_image(target, image, kept=read_kept(source, unchanged=True))
    with Image.open(target) as opened:
        written = np.asarray(opened)
    np.testing.assert_array_equal(written[10:], stored[10:])
    assert (written[:10] != stored[:10]).any(-1).mean() > 0.9
    # At another size no pixel is that of the file.
    write_image(target, image[:, :, :20], kept=read_kept(source, unchanged=True))


REAL_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    ("profile", "is_kept"),
    [
        (icc_profile(2.2, ADOBE_RGB), True),
        (REAL_SRGB, False),  # already what is written
        (icc_profile(1.8, PROPHOTO_RGB), False),  # bands at 8 bits
        (icc_profile(1.0, SRGB), False),  # likewise
        (icc_profile(2.2, SRGB * 0.5 + SRGB.mean(1, keepdims=True) * 0.5), False),  # too narrow
        (icc_profile(2.2), False),  # grey
        (b"no profile", False),
        (icc_profile(2.2, ADOBE_RGB)[:200], False),
    ],
)
def test_which_profiles_are_kept(tmp_path: Path, profile: bytes, is_kept: bool) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", (20, 20), "teal").save(path, icc_profile=profile)
    assert read_kept(path).profile == (profile if is_kept else None)


def test_a_profile_of_inks_is_not_kept(tmp_path: Path) -> None:
    profile = icc_profile(2.2, ADOBE_RGB)
    for content in (profile, profile[:16] + b"CMYK" + profile[20:]):
        Image.new("CMYK", (20, 20)).save(tmp_path / "ink.jpg", icc_profile=content)
        assert read_kept(tmp_path / "ink.jpg") == Kept()


def test_words_are_read_back_by_us_and_by_others(tmp_path: Path) -> None:
    path, words = tmp_path / "picture.png", '{"how": "caf\\u00e9"}'
    write_image(path, picture(), texts={"Splice": words})
    assert read_text(path, "Splice") == words
    assert read_text(path, "Software") is None
    with Image.open(path) as opened:
        assert opened.text == {"Splice": words}
    write_image(tmp_path / "plain.png", picture())
    assert np.array_equal(
        decoded(path.read_bytes()), decoded((tmp_path / "plain.png").read_bytes())
    )
    assert b"tEXt" not in dict(chunks((tmp_path / "plain.png").read_bytes()))
    for suffix in (".jpg", ".webp", ".tif"):
        other = tmp_path / f"other{suffix}"
        write_image(other, picture(), texts={"Splice": words})
        assert read_text(other, "Splice") is None


def test_words_are_replaced_and_nothing_else() -> None:
    first = with_text(png_bytes(np.zeros((20, 20, 3), "u1"), tEXt=b"Title\0mine"), "Splice", "one")
    second = with_text(first, "Splice", "two")
    assert [part for part in chunks(second) if part[0] == b"tEXt"] == [
        (b"tEXt", b"Splice\0two"),
        (b"tEXt", b"Title\0mine"),
    ]
    assert with_text(second, "Splice", "one") == first
    Image.open(io.BytesIO(second)).load()


def test_a_format_that_cannot_hold_the_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"WEBP cannot hold 16400 x 16 pixels; name it \.png"):
        write_image(tmp_path / "wide.webp", torch.zeros(3, 16, 16400))
    assert not list(tmp_path.iterdir())
