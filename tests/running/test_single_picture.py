"""A run into one picture file: what is beside it, when, and how it goes on."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import small_run
import stand_in
from PIL import Image

from splice.errors import InputError, RunError
from splice.pictures.images import to_pil
from splice.running.outcome import earlier_outcome
from splice.running.outputs import CHECKPOINT, PICTURE, RunFolder
from splice.running.run import Run
from splice.running.single_picture import SinglePicture, folder_of

STEPS = 6


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    """The plumbing alone is tested here."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())


_settings = partial(small_run.settings, steps=STEPS)


def _run(small, folder: RunFolder, *, resume=False, watch=lambda step: None, stop_at=None):
    seen: list[int] = []

    def watched(step) -> None:
        seen.append(step.step)
        watch(step)

    with folder:
        run = Run(small.files, _settings(small), folder, resume=resume)
        outcome = run.proceed(
            watch=watched,
            stop=lambda: 130 if seen[-1] == stop_at else None,
            checkpoint_every=0.0,
        )
    return outcome, seen


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["look.png", "look.jpg", "look.webp", "LOOK.TIFF"])
def test_a_finished_run_leaves_the_picture_alone(small, tmp_path, name):
    outcome, _ = _run(small, SinglePicture(tmp_path / name))
    assert outcome.finished and outcome.file == tmp_path / name
    assert outcome.scores is not None
    assert _names(tmp_path) == [name]
    with Image.open(tmp_path / name) as picture:
        assert picture.size == (85, 64)


def test_it_is_the_picture_that_a_folder_would_hold(small, tmp_path):
    _run(small, SinglePicture(tmp_path / "look.png"))
    _run(small, RunFolder(tmp_path / "out"))
    assert (tmp_path / "look.png").read_bytes() == (tmp_path / "out" / PICTURE).read_bytes()


def test_until_the_end_an_old_picture_stays_and_the_new_one_so_far_is_in_the_folder(
    small, tmp_path, monkeypatch
):
    monkeypatch.setattr("splice.running.run.SHOWN_RARELY", 0)
    picture = tmp_path / "look.png"
    picture.write_bytes(b"an old picture")

    def watch(step) -> None:
        assert picture.read_bytes() == b"an old picture"
        with Image.open(folder_of(picture) / PICTURE) as so_far:
            shown = np.asarray(so_far)
        assert np.array_equal(shown, np.asarray(to_pil(step.output())))

    _run(small, SinglePicture(picture), watch=watch)
    assert _names(tmp_path) == ["look.png"]
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_a_stopped_run_gives_the_picture_so_far_and_goes_on(small, tmp_path):
    whole, _ = _run(small, SinglePicture(tmp_path / "whole.png"))
    picture = tmp_path / "look.png"
    stopped, _ = _run(small, SinglePicture(picture), stop_at=3)
    assert not stopped.finished and stopped.file == picture
    assert _names(folder_of(picture)) == [CHECKPOINT]
    so_far = picture.read_bytes()
    assert so_far != whole.file.read_bytes()
    with pytest.raises(InputError, match=r"look\.png\.run holds an unfinished run; add --resume"):
        _run(small, SinglePicture(picture))
    assert picture.read_bytes() == so_far
    assert _names(folder_of(picture)) == [CHECKPOINT]
    outcome, seen = _run(small, SinglePicture(picture), resume=True)
    assert outcome.finished and seen == [4, 5, 6]
    assert picture.read_bytes() == whole.file.read_bytes()
    assert _names(tmp_path) == ["look.png", "whole.png"]


def test_a_finished_png_is_left_alone_when_it_is_resumed(small, tmp_path):
    """As a finished folder is, so that a script may always ask to resume."""
    picture = tmp_path / "look.png"
    _run(small, SinglePicture(picture))
    settings = _settings(small)
    with SinglePicture(picture) as folder:
        earlier = earlier_outcome(folder, small.files, settings)
        assert earlier is not None and earlier.finished and earlier.file == picture
        assert earlier.scores is None
        with pytest.raises(InputError, match="--seed 0, not 9"):
            earlier_outcome(folder, small.files, _settings(small, seed=9))
    _run(small, SinglePicture(tmp_path / "so far.png"), stop_at=3)
    with SinglePicture(tmp_path / "so far.png") as folder:
        assert earlier_outcome(folder, small.files, settings) is None
        folder.remove(CHECKPOINT)  # what is left is no finished picture
        assert earlier_outcome(folder, small.files, settings) is None
    _run(small, SinglePicture(tmp_path / "look.jpg"))
    with SinglePicture(tmp_path / "look.jpg") as folder:
        assert earlier_outcome(folder, small.files, settings) is None


@pytest.mark.robustness
def test_a_run_that_ends_without_notice_goes_on(small, tmp_path):
    class Gone(BaseException):
        pass

    def watch(step) -> None:
        if step.step == 4:
            raise Gone

    whole, _ = _run(small, SinglePicture(tmp_path / "whole.webp"))
    picture = tmp_path / "look.webp"
    with pytest.raises(Gone):
        _run(small, SinglePicture(picture), watch=watch)
    assert not picture.exists()
    assert CHECKPOINT in _names(folder_of(picture))
    _, seen = _run(small, SinglePicture(picture), resume=True)
    assert seen == [4, 5, 6]
    assert picture.read_bytes() == whole.file.read_bytes()
    assert not folder_of(picture).exists()


@pytest.mark.robustness
def test_a_run_that_never_began_leaves_nothing(small, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with SinglePicture(tmp_path / "look.png") as folder, pytest.raises(InputError):
        Run(replace(small.files, appearances=(tmp_path / "bad.jpg",)), _settings(small), folder)
    assert _names(tmp_path) == ["bad.jpg"]


@pytest.mark.robustness
def test_a_failed_optimisation_leaves_its_picture_and_the_checkpoint(small, tmp_path):
    def watch(step) -> None:
        if step.step == 3:
            raise RunError("ten steps in a row were not finite")

    picture = tmp_path / "look.png"
    with pytest.raises(RunError, match="ten steps"):
        _run(small, SinglePicture(picture), watch=watch)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert _names(folder_of(picture)) == [CHECKPOINT]


@pytest.mark.robustness
def test_a_folder_that_holds_something_else_stays(small, tmp_path):
    folder = folder_of(tmp_path / "look.png")
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    _run(small, SinglePicture(tmp_path / "look.png"))
    assert _names(folder) == ["notes.txt"]


def test_one_run_writes_a_picture_at_a_time(tmp_path):
    with (
        SinglePicture(tmp_path / "look.png"),
        pytest.raises(InputError, match=r"another run is writing to .*look\.png\.run"),
    ):
        SinglePicture(tmp_path / "look.png")
    assert _names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "depth", "words"),
    [
        ("look.gif", 8, ["look.gif", ".png", ".webp"]),
        ("look.heic", 8, ["look.heic", ".png"]),
        ("look.jpg", 16, ["look.jpg", "--depth 16"]),
        ("nowhere/look.jpg", 8, ["nowhere", "create it first"]),
    ],
)
def test_pictures_that_cannot_be_written(tmp_path, name, depth, words):
    with pytest.raises(InputError) as caught:
        SinglePicture(tmp_path / name, depth=depth)
    for word in words:
        assert word in str(caught.value)
    assert _names(tmp_path) == []
