"""Frames from files, and painted frames into files."""

import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import small_video
import torch
from PIL import Image

from splice.errors import InputError, RunError
from splice.pictures.images import read_image
from splice.video.frames import Frame, open_frames
from splice.video.survey import frames_at, survey
from splice.video.writing import check_output, write_frames

CROPS = small_video.crops(8)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return small_video.film(tmp_path_factory.mktemp("film") / "walk.mp4", CROPS)


def _as_it_is(source):
    return ((frame.image, frame) for frame in source.read())


def test_a_film_is_read_frame_by_frame(film):
    source = open_frames(film)
    frames = list(source.frames(2000))
    assert (source.name, source.rate, len(frames)) == ("walk", small_video.RATE, 8)
    assert [frame.name for frame in frames[:2]] == ["000001", "000002"]
    for frame, wanted in zip(frames, CROPS, strict=True):
        assert small_video.apart(frame.image, wanted) < 0.01
    assert next(iter(source.frames(32))).image.shape == (3, 32, 43)


def test_frames_that_are_asked_for(film):
    count, chosen = survey(open_frames(film), 3)
    assert count == 8 and len(chosen) == 3
    found = frames_at(open_frames(film), [1, 6], 2000)
    assert len(found) == 2
    for frame, wanted in zip(found, (CROPS[1], CROPS[6]), strict=True):
        assert small_video.apart(frame, wanted) < 0.01


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".mkv"])
def test_what_is_written_has_the_same_count_rate_and_audio(film, tmp_path, suffix):
    output = tmp_path / f"out{suffix}"
    source = open_frames(film)
    check_output(output, source, 8)
    write_frames(output, source, 8, _as_it_is(source))
    assert [each.name for each in tmp_path.iterdir()] == [output.name]
    times, rate, size, codec = small_video.picture_track(output)
    before, *_ = small_video.picture_track(film)
    assert (len(times), rate, size, codec) == (8, small_video.RATE, (64, 86), "h264 yuv420p")
    # Matroska counts in thousandths of a second, and may begin a little later.
    steps = torch.tensor(times) - times[0] - torch.tensor(before)
    assert steps.abs().max() < 1.1e-3
    heard, said = small_video.audio_packets(output), small_video.audio_packets(film)
    assert len(said) > 40
    assert [packet for _, packet in heard] == [packet for _, packet in said]
    late = times[0] - before[0]
    assert all(abs(a - b - late) < 1.1e-3 for (a, _), (b, _) in zip(heard, said, strict=True))
    for frame, wanted in zip(open_frames(output).read(), CROPS, strict=True):
        assert small_video.apart(frame.image, wanted) < 0.02


def test_colours_come_back(tmp_path):
    """Flat squares lose nothing to 4:2:0; a wrong matrix would change them by hundredths."""
    random = torch.Generator().manual_seed(0)
    squares = torch.rand(3, 4, 6, generator=random)
    image = squares.repeat_interleave(16, 1).repeat_interleave(16, 2)
    source = open_frames(small_video.folder(tmp_path / "walk", [image] * 3))
    write_frames(tmp_path / "out.mp4", source, 8, _as_it_is(source))
    for frame in open_frames(tmp_path / "out.mp4").read():
        assert (frame.image[:, 8::16, 8::16] - squares).abs().mean() < 0.01


def test_the_same_frames_give_the_same_bytes(film, tmp_path):
    source = open_frames(film)
    for name in ("a.mp4", "b.mp4"):
        write_frames(tmp_path / name, source, 8, _as_it_is(source))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_frames_at_changing_intervals_keep_their_times(tmp_path):
    times = [0, 33, 100, 133, 300, 334, 400, 1400]
    film = small_video.film(tmp_path / "vfr.mkv", CROPS, times=times, audio=None)
    stamps = small_video.picture_track(film)[0]
    assert max(b - a for a, b in pairwise(stamps)) > 0.9
    for name in ("out.mp4", "out.mkv"):
        source = open_frames(film)
        write_frames(tmp_path / name, source, 8, _as_it_is(source))
        got = small_video.picture_track(tmp_path / name)[0]
        assert [t - got[0] for t in got] == pytest.approx([t - stamps[0] for t in stamps], abs=1e-3)


def test_odd_sides_are_filled_up_in_a_video_and_kept_in_a_folder(tmp_path):
    frames = [frame[:, :63, :85] for frame in CROPS]
    film = small_video.film(tmp_path / "odd.mkv", frames, pixels="yuv444p", audio=None)
    source = open_frames(film)
    write_frames(tmp_path / "out.mp4", source, 8, _as_it_is(source))
    assert small_video.picture_track(tmp_path / "out.mp4")[2] == (64, 86)
    last = next(iter(open_frames(tmp_path / "out.mp4").read())).image
    assert small_video.apart(last[:, :63, :85], frames[0]) < 0.01
    write_frames(tmp_path / "out", source, 8, _as_it_is(source))
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == [f"{number:06}.png" for number in range(1, 9)]
    assert read_image(tmp_path / "out" / names[0]).shape == (3, 63, 85)


def test_a_telephones_video_is_turned_upright(film, tmp_path):
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(small_video.turned(film.read_bytes()))
    image = next(iter(open_frames(turned).read())).image
    assert image.shape == (3, 86, 64)
    # Clockwise by a quarter: what was on the left is above.
    assert small_video.apart(image, CROPS[0].flip(1).transpose(1, 2)) < 0.01


def test_a_folder_and_a_pattern_are_read_in_the_order_of_numbers(tmp_path):
    folder = small_video.folder(tmp_path / "walk", small_video.crops(12))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    source = open_frames(folder)
    assert (source.name, source.rate, source.film) == ("walk", 25, None)
    frames = list(source.read())
    assert [frame.name for frame in frames] == [f"frame-{number}" for number in range(12)]
    assert [frame.time for frame in frames] == list(range(12))
    pattern = open_frames(folder / "frame-1*.png", Fraction(12))
    assert [frame.name for frame in pattern.read()] == ["frame-1", "frame-10", "frame-11"]
    assert (pattern.name, pattern.rate, pattern.time_base) == ("walk", 12, Fraction(1, 12))
    assert pattern.sha256() != source.sha256() == open_frames(folder).sha256()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("walk", ["walk/1.png", "walk/1.jpg"]),
        ("walk/*", ["walk/1.png", "walk/1.jpg"]),
        ("**/*.png", ["walk/1.png", "walk/late/1.png"]),
    ],
)
def test_frames_of_one_name_are_refused(tmp_path, pattern, names):
    (tmp_path / "walk" / "late").mkdir(parents=True)
    for name in ("1.png", "2.png", "1.jpg", "late/1.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / "walk" / name)
    with pytest.raises(InputError, match="both named 1; give frames whose names") as raised:
        open_frames(tmp_path / pattern)
    assert all(f"{tmp_path / name} " in str(raised.value) for name in names)


def test_a_file_that_a_pattern_finds_twice_is_one_frame(tmp_path):
    small_video.folder(tmp_path / "walk", CROPS[:2])
    frames = open_frames(tmp_path / "**" / "**" / "*.png").read()
    assert [frame.name for frame in frames] == ["frame-0", "frame-1"]


def test_a_folder_becomes_a_silent_film(tmp_path):
    source = open_frames(small_video.folder(tmp_path / "walk", CROPS), Fraction(10))
    write_frames(tmp_path / "out.mp4", source, 8, _as_it_is(source))
    times, rate, *_ = small_video.picture_track(tmp_path / "out.mp4")
    assert rate == 10
    assert times == pytest.approx([number / 10 for number in range(8)])
    assert small_video.audio_packets(tmp_path / "out.mp4") == []


def test_deep_frames_keep_16_bits(tmp_path):
    source = open_frames(small_video.folder(tmp_path / "walk", CROPS[:2]))
    write_frames(tmp_path / "out", source, 16, _as_it_is(source))
    assert (tmp_path / "out" / "frame-0.png").read_bytes()[24] == 16


@pytest.mark.parametrize("frames", [0, 3])
def test_what_was_painted_before_a_failure_is_kept(film, tmp_path, frames):
    source, output = open_frames(film), tmp_path / "out.mp4"
    output.write_bytes(b"an earlier one")

    def painted():
        for number, pair in enumerate(_as_it_is(source)):
            if number == frames:
                raise RunError("the disk is full.")
            yield pair

    with pytest.raises(RunError, match="the disk is full"):
        write_frames(output, source, 8, painted())
    assert [each.name for each in tmp_path.iterdir()] == ["out.mp4"]
    if frames:
        assert len(small_video.picture_track(output)[0]) == frames
    else:
        assert output.read_bytes() == b"an earlier one"


def test_frames_of_different_sizes_are_refused(tmp_path):
    folder = small_video.folder(tmp_path / "walk", CROPS[:2])
    Image.new("RGB", (40, 30)).save(folder / "frame-7.png")
    with pytest.raises(InputError, match=r"frame frame-7 .* 40 × 30 pixels and the first 86 × 64"):
        survey(open_frames(folder), 2)


def test_what_is_no_video_is_told(film, tmp_path):
    (tmp_path / "words.mp4").write_text("not a video")
    (tmp_path / "empty").mkdir()
    sound = small_video.audio_packets(film)
    assert sound
    for place, words in [
        (tmp_path / "none.mp4", "does not exist; give a video"),
        (tmp_path / "none-*.png", "holds no frames"),
        (tmp_path / "empty", "holds no frames"),
        (tmp_path / "words.mp4", "cannot be read as a video"),
    ]:
        with pytest.raises(InputError, match=words) as raised:
            open_frames(place)
        assert str(place) in str(raised.value)
    with pytest.raises(InputError, match="--rate is for folders"):
        open_frames(film, Fraction(24))


def test_one_frame_is_no_video(tmp_path):
    film = small_video.film(tmp_path / "one.mp4", CROPS[:1], audio=None)
    with pytest.raises(InputError, match="holds one frame, and a video needs two"):
        survey(open_frames(film), 2)


def test_a_video_that_is_cut_short_is_told_or_read(film, tmp_path):
    (tmp_path / "cut.mp4").write_bytes(film.read_bytes()[:3000])
    with pytest.raises(InputError, match="cannot be read as a video"):
        survey(open_frames(tmp_path / "cut.mp4"), 2)


def test_outputs_that_cannot_be(film, tmp_path):
    source = open_frames(film)
    (tmp_path / "notes").write_text("mine")
    for name, depth, words in [
        ("out.avi", 8, r"name it \.mp4, \.mov, \.m4v or \.mkv"),
        ("none/out.mp4", 8, "create it first"),
        ("out.mp4", 16, "8 bits"),
        ("notes", 8, "is a file"),
    ]:
        with pytest.raises(InputError, match=words):
            check_output(tmp_path / name, source, depth)
    with pytest.raises(InputError, match="is the video itself"):
        check_output(film, source, 8)
    assert [each.name for each in tmp_path.iterdir()] == ["notes"]


def test_audio_that_a_format_cannot_hold_is_told(tmp_path):
    film = small_video.film(tmp_path / "in.mkv", CROPS[:2], audio="wavpack")
    source = open_frames(film)
    with pytest.raises(InputError, match=r"cannot hold the audio of .*; name it \.mkv"):
        check_output(tmp_path / "out.mp4", source, 8)
    check_output(tmp_path / "out.mkv", source, 8)


def test_without_pyav_the_extra_is_named(film, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RunError, match=r"pip install 'splice-vit\[video\]'"):
        open_frames(film)
    source = open_frames(small_video.folder(tmp_path / "walk", CROPS[:2]))
    write_frames(tmp_path / "out", source, 8, _as_it_is(source))
    frame = next(iter(source.read()))
    assert isinstance(frame, Frame)
    with pytest.raises(RunError, match=r"splice-vit\[video\]"):
        check_output(tmp_path / "out.mp4", source, 8)
