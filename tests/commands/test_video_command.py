"""`splice video`: what it writes, says and refuses."""

import signal
import sys
from pathlib import Path

import pytest
import small_video
from told import error_line

from splice.commands.cli import main
from splice.pictures.images import read_image

CROPS = small_video.crops(6)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def film(tmp_path) -> Path:
    return small_video.film(tmp_path / "walk.mp4", CROPS)


def _video(small, frames, *words, steps: int = 0) -> int:
    options = [*small.options, f"--steps={steps}", *map(str, words)]
    return main(["video", str(frames), str(small.appearance), *options])


def _names() -> set[str]:
    return {path.name for path in Path().iterdir()}


@pytest.mark.slow
def test_a_video_is_painted_and_its_audio_kept(small, film, capsys):
    assert _video(small, film, "--output=out.mp4", steps=4) == 0
    captured = capsys.readouterr()
    assert captured.out == "out.mp4\n"
    assert "step 4/4" in captured.err and "frames 6/6" in captured.err
    assert "flicker 0." in captured.err and "the input's 0." in captured.err
    assert "painted 6 frames in" in captured.err
    assert _names() == {"walk.mp4", "out.mp4"}
    times, rate, size, _ = small_video.picture_track(Path("out.mp4"))
    assert (len(times), rate, size) == (6, small_video.RATE, (64, 86))
    heard = small_video.audio_packets(Path("out.mp4"))
    assert [p for _, p in heard] == [p for _, p in small_video.audio_packets(film)]
    content = Path("out.mp4").read_bytes()
    assert _video(small, film, "--output=again.mp4", "--quiet", steps=4) == 0
    assert Path("again.mp4").read_bytes() == content
    assert capsys.readouterr().err == ""


def test_tones_alone_into_a_folder_of_frames(small, film, capsys):
    assert _video(small, film, "--preset=quick", "--output=frames", "--quiet") == 0
    assert capsys.readouterr().out == "frames\n"
    assert _names() == {"walk.mp4", "frames"}
    names = sorted(file.name for file in Path("frames").iterdir())
    assert names == [f"{number:06}.png" for number in range(1, 7)]
    assert read_image("frames/000001.png").shape == (3, 64, 86)


def test_a_folder_of_frames_by_its_own_names(small, tmp_path, capsys):
    small_video.folder(tmp_path / "walk", CROPS[:2])
    assert _video(small, "walk", "--size=32", "--quiet") == 0
    assert _video(small, "walk/*.png", "--size=32", "--quiet") == 0
    assert capsys.readouterr().out == ("outputs/walk--appearance\noutputs/walk--appearance-2\n")
    first, second = (Path(f"outputs/walk--appearance{suffix}") for suffix in ("", "-2"))
    for name in ("frame-0.png", "frame-1.png"):
        assert read_image(first / name).shape == (3, 32, 43)
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert {path.name for path in Path("outputs").iterdir()} == {first.name, second.name}


class _Stop:
    """Sends ctrl-C when the command tells of a step, or of a frame."""

    def __init__(self, monkeypatch, what: str, number: int) -> None:
        from splice.commands.progress import Silent

        told = Silent()

        def count(done, total, unit):
            if unit == what and done == number:
                signal.raise_signal(signal.SIGINT)

        told.count = count
        told.step = lambda step: count(step.step, step.steps, "steps")
        monkeypatch.setattr("splice.commands.video.progress", lambda quiet: told)
        self.said = []
        told.say = self.said.append


@pytest.mark.slow
def test_what_is_learnt_outlives_a_stop(small, film, monkeypatch, capsys):
    assert _video(small, film, "--output=whole.mp4", "--quiet", steps=4) == 0
    with monkeypatch.context() as patched:
        stop = _Stop(patched, "steps", 2)
        assert _video(small, film, "--output=out.mp4", steps=4) == 130
    assert "stopped at step 2 of 4" in stop.said[-1] and "--resume" in stop.said[-1]
    assert _names() == {"walk.mp4", "whole.mp4", "out.mp4.run"}
    capsys.readouterr()
    assert _video(small, film, "--output=out.mp4", steps=4) == 2
    assert "out.mp4.run holds an unfinished run; add --resume" in error_line(capsys)
    with monkeypatch.context() as patched:
        stop = _Stop(patched, "frames", 3)
        assert _video(small, film, "--output=out.mp4", "--resume", steps=4) == 130
    assert "stopped at frame 3 of 6" in stop.said[-1]
    assert len(small_video.picture_track(Path("out.mp4"))[0]) == 3
    assert _video(small, film, "--output=out.mp4", "--resume", "--quiet", steps=4) == 0
    assert _names() == {"walk.mp4", "whole.mp4", "out.mp4"}
    assert Path("out.mp4").read_bytes() == Path("whole.mp4").read_bytes()


@pytest.mark.parametrize(
    ("frames", "options", "words"),
    [
        ("none.mp4", [], ["none.mp4 does not exist", "give a video"]),
        ("words.mp4", [], ["words.mp4 cannot be read as a video"]),
        ("empty", [], ["empty holds no frames"]),
        ("one.mp4", [], ["one.mp4 holds one frame", "splice transfer"]),
        ("mixed", [], ["frame frame-9 of mixed has 40 × 30 pixels"]),
        ("walk.mp4", ["--output=out.avi"], ["out.avi", ".mp4", ".mkv"]),
        ("walk.mp4", ["--output=out.mp4", "--depth=16"], ["out.mp4", "8 bits"]),
        ("walk.mp4", ["--output=walk.mp4"], ["walk.mp4 is the video itself"]),
        ("walk.mp4", ["--rate=24"], ["--rate is for folders", "walk.mp4"]),
        ("walk.mp4", ["--rate=0"], ["--rate", "cannot be 0"]),
        ("walk.mp4", ["--key-frames=0"], ["--key-frames", "cannot be 0"]),
        ("walk.mp4", ["--strength=0.5"], ["full strength"]),
        ("walk.mp4", ["--keep-background=true"], ["leave --keep-background out"]),
        ("walk.mp4", ["--appearance-mask", "a.png", "b.png"], ["a.png does not exist"]),
    ],
)
def test_mistakes_are_told_in_a_sentence(small, film, tmp_path, capsys, frames, options, words):
    (tmp_path / "words.mp4").write_text("not a video")
    (tmp_path / "empty").mkdir()
    small_video.film(tmp_path / "one.mp4", CROPS[:1], audio=None)
    small_video.folder(tmp_path / "mixed", CROPS[:2])
    small_video.folder(tmp_path / "other", [CROPS[0][:, :30, :40]])
    (tmp_path / "other" / "frame-0.png").rename(tmp_path / "mixed" / "frame-9.png")
    before = _names()
    capsys.readouterr()
    assert _video(small, frames, *options) == 2
    line = error_line(capsys)
    for word in words:
        assert word in line
    assert _names() - before <= {"outputs"}


def test_the_published_method_paints_no_videos(small, film, capsys):
    capsys.readouterr()
    assert main(["video", str(film), str(small.appearance), "--preset=paper"]) == 2
    assert "the published method paints no videos" in error_line(capsys)


def test_without_pyav_the_extra_is_named(small, film, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    capsys.readouterr()
    assert _video(small, film) == 1
    assert "pip install 'splice-vit[video]'" in error_line(capsys)


def test_help_names_what_there_is(capsys):
    assert main(["--help"]) == 0
    assert "the same for a video or a folder of frames" in capsys.readouterr().out
    assert main(["video", "--help"]) == 0
    out = capsys.readouterr().out
    for word in ("--key-frames N", "--rate R", "--output FILE|DIR", "--appearance-mask", "--steps"):
        assert word in out
