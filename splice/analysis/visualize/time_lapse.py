"""A run seen from its first picture to its last, as a GIF."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from splice.pictures.images import write_atomically


def time_lapse(
    frames: Sequence[Image.Image],
    path: str | Path,
    *,
    milliseconds: int = 120,
    hold: int = 2000,
) -> None:
    """Writes the frames as a GIF that repeats for ever and rests on the last one.

    Each frame gets its own palette of 256 colours. Frames of another size than the last are
    resized to it.

    Args:
        frames: at least one, first to last.
        path: the `.gif` file; an existing one is replaced in one go.
        milliseconds: that each frame is shown.
        hold: milliseconds that the last frame is shown.

    Raises:
        ValueError: no frames.
        InputError: a missing or unwritable folder.
        RunError: a full disk.
    """
    if not frames:
        raise ValueError("a time lapse needs at least one frame")
    size = frames[-1].size
    palettes = [
        (frame if frame.size == size else frame.resize(size, Image.Resampling.LANCZOS))
        .convert("RGB")
        .quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
        for frame in frames
    ]
    durations = [milliseconds] * (len(frames) - 1) + [hold]
    write_atomically(
        path,
        lambda file: palettes[0].save(
            file,
            "GIF",
            save_all=True,
            append_images=palettes[1:],
            duration=durations,
            loop=0,
            optimize=False,
        ),
    )
