"""Picture files made by hand, byte by byte, so that no test asks the decoder about itself."""

import struct
import zlib
from pathlib import Path

import numpy as np
import torch

LEVEL = 1 / 255


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


def make_loop(path: Path) -> None:
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def pixels(image: torch.Tensor) -> np.ndarray:
    """A picture as [height, width, 3] in float64."""
    return image.permute(1, 2, 0).double().numpy()


def png_bytes(values: np.ndarray, transparent: tuple[int, ...] = (), **chunks: bytes) -> bytes:
    """A PNG of [height, width, channels] values, uint8 or uint16; 1 to 4 channels."""
    height, width, channels = values.shape
    depth = values.dtype.itemsize * 8
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = values.astype(">u2" if depth == 16 else "u1")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header)]
    parts += [png_chunk(name.encode(), data) for name, data in chunks.items()]
    if transparent:
        parts.append(png_chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
    parts += [png_chunk(b"IDAT", zlib.compress(raw)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds almost nothing."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + header + data + png_chunk(b"IEND", b"")


def tiff_bytes(values: np.ndarray, *, photometric: int | None = None, icc: bytes = b"") -> bytes:
    """An uncompressed TIFF of [height, width, channels] values, in the byte order of their type."""
    height, width, channels = values.shape
    order = ">" if values.dtype.byteorder == ">" else "<"
    if photometric is None:
        photometric = 2 if channels >= 3 else 1
    sample_format = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.tobytes()
    short, long, undefined = 3, 4, 7
    tags: list[tuple[int, int, list[int] | bytes]] = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [values.dtype.itemsize * 8] * channels),
        (259, short, [1]),
        (262, short, [photometric]),
        (273, long, [8]),
        (277, short, [channels]),
        (278, long, [height]),
        (279, long, [len(data)]),
        (284, short, [1]),
    ]
    if channels in (2, 4) and photometric in (1, 2):
        tags.append((338, short, [2]))  # unassociated opacity
    tags.append((339, short, [sample_format] * channels))
    if icc:
        tags.append((34675, undefined, icc))
    data += b"\0" * (len(data) % 2)
    start = 8 + len(data)
    spill_at = start + 2 + 12 * len(tags) + 4
    entries, spill = b"", b""
    for tag, kind, content in tags:
        if isinstance(content, bytes):
            packed, count = content, len(content)
        else:
            packed = struct.pack(order + ("H" if kind == short else "I") * len(content), *content)
            count = len(content)
        if len(packed) > 4:
            offset = spill_at + len(spill)
            spill += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(order + "I", offset)
        entries += struct.pack(order + "HHI", tag, kind, count) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    count = struct.pack(order + "H", len(tags))
    return head + data + count + entries + b"\0\0\0\0" + spill


def icc_profile(gamma: float, primaries: np.ndarray | None = None) -> bytes:
    """An ICC version 2 profile: RGB with a D50 matrix [XYZ, primaries], or grey without one."""

    def fixed(*numbers: float) -> bytes:
        return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))

    def xyz(*numbers: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(*numbers)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 78
    tags = [(b"desc", text + b"\0" * (-len(text) % 4)), (b"cprt", b"text\0\0\0\0CC0\0")]
    tags.append((b"wtpt", xyz(*D50)))
    if primaries is None:
        tags.append((b"kTRC", curve))
    else:
        for index, name in enumerate(b"rgb"):
            tags.append((bytes([name]) + b"XYZ", xyz(*primaries[:, index])))
            tags.append((bytes([name]) + b"TRC", curve))
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    space = b"GRAY" if primaries is None else b"RGB "
    header = struct.pack(">I", 128 + len(table) + len(body)) + b"\0" * 4
    header += struct.pack(">I", 0x02400000) + b"mntr" + space + b"XYZ "
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    header += fixed(*D50)
    return header.ljust(128, b"\0") + table + body


D50 = (0.9642, 1.0, 0.8249)

# Primaries adapted to D50 (Bradford), as published by B. Lindbloom.
SRGB = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
ADOBE_RGB = np.array(
    [
        [0.6097559, 0.2052401, 0.1492240],
        [0.3111242, 0.6256560, 0.0632197],
        [0.0194811, 0.0608902, 0.7448387],
    ]
)


def srgb_encoded(linear: np.ndarray) -> np.ndarray:
    """The transfer curve of IEC 61966-2-1 on linear values, clipped to [0, 1]."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
