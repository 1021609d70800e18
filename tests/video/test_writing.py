"""Outputs that would destroy frames, and what a video holds whose painting ended early."""

from itertools import islice
from pathlib import Path

import pytest
import small_run
import small_video

from splice.errors import InputError, RunError
from splice.video.frames import open_frames
from splice.video.outcome import Workplace
from splice.video.run import VideoRun
from splice.video.writing import check_output, write_frames

CROPS = small_video.crops(8)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """Eight frames, and a second of sound."""
    return small_video.film(tmp_path_factory.mktemp("film") / "walk.mp4", CROPS)


def _heard(film: Path, frames: int | None = None) -> list[bytes]:
    """The packets that begin before the end of so many frames, or all."""
    end = float("inf") if frames is None else frames / small_video.RATE
    return [packet for time, packet in small_video.audio_packets(film) if time < end]


@pytest.mark.parametrize("frames", ["walk", "walk/*.png", "*/frame-?.png", "links", "links/*"])
def test_frames_are_not_painted_over(tmp_path, monkeypatch, frames):
    monkeypatch.chdir(tmp_path)
    walk = small_video.folder(tmp_path / "walk", CROPS[:2])
    if "links" in frames:
        Path("links").mkdir()
        for file in walk.iterdir():
            Path("links", file.name).symlink_to(file)
    source = open_frames(Path(frames))
    Path("again").symlink_to(walk)
    for output in (Path("walk"), walk, Path("again")):
        with pytest.raises(InputError, match=f"^--output {output} .*; name another"):
            check_output(output, source, 8)
    for name in ("painted", "walk/painted", "walk/painted.mp4"):
        check_output(Path(name), source, 8)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_audio_ends_with_the_last_frame_before_a_failure(film, tmp_path, suffix):
    source, output = open_frames(film), tmp_path / f"out{suffix}"

    def painted():
        yield from ((frame.image, frame) for frame in islice(source.read(), 3))
        raise RunError("memory ran out.")

    with pytest.raises(RunError, match="memory ran out"):
        write_frames(output, source, 8, painted())
    assert 3 < len(_heard(film, 3)) < 8
    assert _heard(output) == _heard(film, 3)


@pytest.mark.slow
def test_the_audio_ends_with_the_last_frame_before_a_stop(film, tmp_path):
    small, source = small_run.make(tmp_path), open_frames(film)
    settings = small_run.settings(
        small, steps=0, seen={"short_side": 64}, meaning={"short_side": 64, "channels": 8}
    )
    output, done = tmp_path / "out.mp4", []
    with Workplace(output) as folder:
        run = VideoRun(source, [small.appearance], settings, folder)
        outcome = run.paint(
            output,
            watch=lambda number, count: done.append(number),
            stop=lambda: 130 if len(done) == 3 else None,
        )
    assert (outcome.frames, outcome.of, outcome.exit_status) == (3, 8, 130)
    assert len(small_video.picture_track(output)[0]) == 3
    assert _heard(output) == _heard(film, 3)
