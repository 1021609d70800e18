"""How much a painted video flickers, and how long it takes, against its input.

    python benchmarks/flicker.py --output flicker.mp4

A window moves over one of the sample pictures, with a little zoom, by fractions of pixels. That is
written as a video, and painted by the command in the look of another sample.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from command import run_command
from jaxtyping import Float
from torch import Tensor

from splice.errors import RunError
from splice.pictures.encoding import write_image
from splice.pictures.images import read_image
from splice.running.durations import duration
from splice.video.flicker import Flicker
from splice.video.flow import find_flow
from splice.video.frames import open_frames
from splice.video.writing import write_frames

SAMPLES = Path(__file__).parents[1] / "datasets" / "samples" / "mountains"

MOVE, ZOOM = (0.25, 0.3), (0.55, 0.5)
"""How far the window moves, down and across, and its first and last size, as shares of the picture."""


@dataclass(frozen=True)
class Options:
    """What is painted, and how."""

    output: Path | None = None
    """Keep the painted video there."""
    frames: int = 60
    """Frames of the video."""
    size: int = 256
    """Short side, in pixels."""
    preset: str = "default"
    """Preset of the run."""
    structure: Path = SAMPLES / "A" / "aitzgorri.jpg"
    """Picture that the window moves over."""
    appearance: Path = SAMPLES / "B" / "picosdeeuropa.jpg"
    """Picture whose look is wanted."""


def main(options: Options) -> None:
    """Makes the video, paints it, and prints flicker and seconds.

    Raises:
        RunError: the command failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = make_video(options, folder)
        output = options.output or folder / "painted.mp4"
        begun = time.perf_counter()
        command = [sys.executable, "-m", "splice", "video", str(video), str(options.appearance)]
        changes = [f"--preset={options.preset}", f"--size={options.size}", f"--output={output}"]
        if subprocess.run([*command, *changes], check=False).returncode:
            raise RunError("the command failed; see above.")
        seconds = time.perf_counter() - begun
        flicker = flicker_between(video, output)
        print(f"input   {flicker.input:.5f}")
        print(f"output  {flicker.output:.5f}")
        print(f"ratio   {flicker.ratio:.3f}")
        threads = torch.get_num_threads()
        print(f"took    {duration(seconds)} for {options.frames} frames, {threads} threads")


def make_video(options: Options, folder: Path) -> Path:
    """A video of a window that moves over a picture, in a folder."""
    picture = read_image(options.structure)
    frames = folder / "frames"
    frames.mkdir()
    for number in range(options.frames):
        progress = number / max(1, options.frames - 1)
        write_image(frames / f"{number:03}.png", window(picture, progress, options.size))
    source = open_frames(frames, Fraction(25))
    write_frames(folder / "video.mp4", source, 8, ((f.image, f) for f in source.read()))
    return folder / "video.mp4"


def window(
    picture: Float[Tensor, "3 rows columns"], progress: float, size: int
) -> Float[Tensor, "3 height width"]:
    """What is seen of a picture at a progress of the video, in [0, 1].

    Args:
        picture: in [0, 1].
        progress: likewise.
        size: short side of the window, in pixels.
    """
    rows, columns = picture.shape[1:]
    share = ZOOM[0] + (ZOOM[1] - ZOOM[0]) * progress
    # Places run from -1 to 1.
    down, across = (2 * (0.1 + move * progress) + share - 1 for move in MOVE)
    grid = F.affine_grid(
        torch.tensor([[[share, 0, across], [0, share, down]]]),
        [1, 3, round(2 * size), round(2 * size * columns / rows)],
        align_corners=False,
    )
    seen = F.grid_sample(picture[None], grid, align_corners=False, padding_mode="border")
    return F.avg_pool2d(seen, 2)[0]


def flicker_between(video: Path, output: Path) -> Flicker:
    """The flicker of two video files, along the flow of the first."""
    flicker, last = Flicker(), None
    pairs = zip(open_frames(video).read(), open_frames(output).read(), strict=True)
    for frame, painted in ((a.image[None], b.image[None]) for a, b in pairs):
        if last is not None:
            flow = find_flow(frame, last[0])
            flicker.add((frame, last[0]), (painted, last[1]), flow)
        last = frame, painted
    return flicker


if __name__ == "__main__":
    run_command(main, Options)
