"""Pictures into files: PNG of 8 or 16 bits, JPEG, WebP and TIFF."""

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from splice.errors import InputError, RunError
from splice.pictures.atomic import write_atomically
from splice.pictures.formats import check_writable
from splice.pictures.kept import NOTHING, Kept
from splice.pictures.png_text import with_chunks, with_text
from splice.pictures.profiles import from_srgb
from splice.pictures.resizing import resize

_SRGB = (b"sRGB", b"\0")
_OPTIONS = {
    ".png": {"compress_level": 6},
    ".jpg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95},
    ".tif": {"compression": "tiff_lzw"},
}
_NAMES = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".tif": "TIFF"}


def to_pil(image: Float[Tensor, "3 height width"]) -> Image.Image:
    """Round a picture to 8 bits, values clipped to [0, 1].

    Raises:
        RunError: the picture holds values that are not finite.
    """
    values = _clipped(image).mul(255).round().to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


def to_transparent_pil(image: Float[Tensor, "3 height width"], kept: Kept) -> Image.Image:
    """The same, with the transparency that is kept: over white it looks as the picture does.

    Raises:
        RunError: the picture holds values that are not finite.
    """
    if kept.opacity is None:
        return to_pil(image)
    levels = (_opacity(kept.opacity, image) * 255).round()
    picture = to_pil(unblended(image, levels / 255))
    picture.putalpha(Image.fromarray(levels.to(torch.uint8).numpy()))
    return picture


def with_opacity(
    image: Float[Tensor, "3 height width"], kept: Kept
) -> Float[Tensor, "channels height width"]:
    """The colours of a picture and, where it keeps transparency, its opacity as a fourth channel."""
    if kept.opacity is None:
        return image
    opacity = _opacity(kept.opacity, image)
    return torch.cat([unblended(image, opacity), opacity[None]])


def write_image(
    path: str | Path,
    image: Float[Tensor, "3 height width"],
    *,
    kept: Kept = NOTHING,
    depth: int = 8,
    texts: Mapping[str, str] | None = None,
) -> None:
    """Write a picture, whole or not at all; the same picture gives the same bytes.

    Args:
        path: `.png`, `.tif`/`.tiff` (LZW), `.webp` (quality 95), or `.jpg`/`.jpeg` (quality 95, no
            chroma subsampling); an existing file is replaced.
        image: sRGB values in [0, 1]; what lies outside is clipped.
        kept: transparency, which a JPEG lays over white, and the profile to convert to, which 16
            bits leave at sRGB.
        depth: bits of each value, 8 or 16; a PNG alone can have 16.
        texts: words by keyword, in Latin-1, which a PNG alone can hold; elsewhere they are left out.

    Raises:
        InputError: another suffix, a missing or unwritable folder, more bits or pixels than the
            format has.
        RunError: a full disk, or values that are not finite.
    """
    suffix = check_writable(path, depth)
    data = _deep(image, kept) if depth == 16 else _encoded(path, suffix, image, kept)
    if suffix == ".png":
        for keyword, text in (texts or {}).items():
            data = with_text(data, keyword, text)
    # Encoded in memory first: encoders hide the reason when the disk is full.
    write_atomically(path, lambda file: file.write(data))


def unblended(
    image: Float[Tensor, "3 height width"], opacity: Float[Tensor, "height width"]
) -> Float[Tensor, "3 height width"]:
    """Colours which, that opaque and laid over white, give the picture; where all is clear, its own.

    Over a white page the output then looks as it was painted, and over a dark one it has no pale rim.
    """
    image = image.detach().float().cpu()
    colours = (image - 1 + opacity) / opacity.clamp_min(1e-6)
    return torch.where(opacity > 0, colours, image).clamp(0, 1)


def _encoded(path: str | Path, suffix: str, image: Tensor, kept: Kept) -> bytes:
    """The file of a picture of 8 bits."""
    if suffix == ".jpg":
        kept = Kept(None, kept.profile)
    picture = to_transparent_pil(image, kept)
    options = dict(_OPTIONS[suffix])
    if kept.profile is not None:
        colours = from_srgb(picture.convert("RGB"), kept.profile)
        if "A" in picture.getbands():
            colours.putalpha(picture.getchannel("A"))
        picture, options["icc_profile"] = colours, kept.profile
    elif suffix == ".png":
        options["pnginfo"] = marks = PngInfo()
        marks.add(*_SRGB)
    picture = _as_it_was(picture, image, kept)
    buffer = io.BytesIO()
    try:
        picture.save(buffer, _NAMES[suffix], **options)
    except (OSError, ValueError) as error:
        size = f"{picture.width} x {picture.height} pixels"
        raise InputError(
            f"{path} cannot be written: {_NAMES[suffix]} cannot hold {size}; name it .png."
        ) from error
    return buffer.getvalue()


def _as_it_was(picture: Image.Image, image: Tensor, kept: Kept) -> Image.Image:
    """The picture to write, with the pixels of the picture it was made from where it shows the same."""
    own = kept.own
    shape = (picture.height, picture.width, len(picture.getbands()))
    if own is None or own.stored.shape != shape:
        return picture
    same = (np.asarray(to_pil(image)) == own.seen).all(-1, keepdims=True)
    return Image.fromarray(np.where(same, own.stored, np.asarray(picture)))


def _deep(image: Tensor, kept: Kept) -> bytes:
    """The PNG of a picture of 16 bits, which Pillow cannot write."""
    from kornia_rs.io import write_image_png_u16  # pyright: ignore[reportMissingModuleSource]

    values = with_opacity(image, kept)
    mode = "rgb" if len(values) == 3 else "rgba"
    levels = _clipped(values).double().mul(65535).round().permute(1, 2, 0).contiguous().numpy()
    with tempfile.TemporaryDirectory(prefix="splice-") as folder:
        file = Path(folder) / "deep.png"
        write_image_png_u16(str(file), levels.astype(np.uint16), mode)
        return with_chunks(file.read_bytes(), [_SRGB])


def _opacity(opacity: Tensor, image: Tensor) -> Float[Tensor, "height width"]:
    height, width = image.shape[1:]
    return resize(opacity[None].float(), (height, width))[0]


def _clipped(image: Tensor) -> Tensor:
    values = image.detach()
    if not bool(values.isfinite().all()):
        raise RunError("the picture holds values that are not finite, so it cannot be shown.")
    return values.float().clamp(0, 1).cpu()
