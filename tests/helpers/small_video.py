"""Small videos made on the spot: a window that moves over a picture, with a tone to hear."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from tiny import picture
from torch import Tensor

RATE = Fraction(30000, 1001)


def crops(
    count: int, height: int = 64, width: int = 86, down: int = 1, across: int = 2
) -> list[Tensor]:
    """Frames of a window that moves over smooth blobs by whole pixels, 3 × height × width each."""
    rows, columns = height + down * count, width + across * count
    random = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, rows // 6, columns // 6, generator=random)
    whole = torch.nn.functional.interpolate(coarse, (rows, columns), mode="bicubic")[0].clamp(0, 1)
    return [
        whole[:, down * i : down * i + height, across * i : across * i + width].contiguous()
        for i in range(count)
    ]


def film(
    place: Path,
    frames: Sequence[Tensor],
    *,
    rate: Fraction = RATE,
    times: Sequence[int] | None = None,
    audio: str | None = "aac",
    pixels: str = "yuv420p",
) -> Path:
    """Writes frames as a video, by nothing of Splice's.

    Args:
        place: of the file.
        frames: in [0, 1].
        rate: of them.
        times: when each is shown, in thousandths of a second; by default at the rate.
        audio: codec of a second of noise; None for silence.
        pixels: format of the pixels.
    """
    with av.open(str(place), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "4"})
        stream.height, stream.width = frames[0].shape[1:]
        stream.pix_fmt = pixels
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        sound = None if audio is None else container.add_stream(audio, rate=44100)
        for number, image in enumerate(frames):
            values = (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
            frame = av.VideoFrame.from_ndarray(values.numpy(), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            noise = np.random.default_rng(0).standard_normal((1, 44 * 1024)) * 0.1
            for start in range(0, noise.shape[1], 1024):
                part = noise[:, start : start + 1024].astype(np.float32)
                if audio != "aac":
                    part = (part * 3000).astype(np.int16)
                kind = "fltp" if audio == "aac" else "s16"
                heard = av.AudioFrame.from_ndarray(part, format=kind, layout="mono")
                heard.sample_rate, heard.pts = 44100, start
                container.mux(sound.encode(heard))
            container.mux(sound.encode(None))
    return place


def picture_track(place: Path) -> tuple[list[float], Fraction | None, tuple[int, int], str]:
    """What a video shows: when each frame is shown, in seconds, the rate, the size, the codec."""
    with av.open(str(place)) as container:
        stream = container.streams.video[0]
        times = [float(frame.time or 0) for frame in container.decode(stream)]
        context = stream.codec_context
        name = f"{context.name} {context.pix_fmt}"
        return times, stream.average_rate, (context.height, context.width), name


def audio_packets(place: Path) -> list[tuple[float, bytes]]:
    """What is heard: the time of each packet, in seconds, and its bytes."""
    with av.open(str(place)) as container:
        tracks = container.streams.audio
        packets = container.demux(tracks) if tracks else ()
        return [
            (float(p.pts * p.time_base), bytes(p))
            for p in packets
            if p.pts is not None and p.time_base is not None
        ]


def apart(image: Tensor, other: Tensor) -> float:
    """The mean difference of pictures in squares of 4 × 4 pixels: of colours, 4:2:0 keeps no more."""
    return float(torch.nn.functional.avg_pool2d((image - other)[None], 4).abs().mean())


def folder(place: Path, frames: Sequence[Tensor]) -> Path:
    """Writes frames as PNGs whose numbers have no leading zeros."""
    place.mkdir()
    for number, image in enumerate(frames):
        values = (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        Image.fromarray(values).save(place / f"frame-{number}.png")
    return place


def turned(content: bytes) -> bytes:
    """An MP4 that is to be turned by a quarter, clockwise, as a telephone that stands writes it."""
    box = content.index(b"tkhd")
    # After the name: version and flags, times, number, length, layer, volume; then a matrix of 3 × 3.
    start = box + 4 + 4 + 20 + 8 + 8
    one = 1 << 16
    numbers = (0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    matrix = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    stream = io.BytesIO(content)
    stream.seek(start)
    stream.write(matrix)
    return stream.getvalue()


def grain(count: int) -> list[Tensor]:
    """Frames that have nothing to do with each other."""
    return [picture(64, 86, seed=seed) for seed in range(count)]
