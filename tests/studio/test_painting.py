"""A run as a visitor sees it, compared with the same run from the command line."""

import shlex
import zlib
from dataclasses import dataclass, field

import numpy as np
import pytest
import small_studio
from picture_files import ADOBE_RGB, SRGB, icc_profile, png_bytes, put
from PIL import Image

from splice.commands.cli import main
from splice.running.recipe import read_recipe
from splice.studio.command_line import command_line
from splice.studio.downloads import downloads
from splice.studio.painting import Moment, Painting, Wish
from splice.studio.pictures import keep
from splice.studio.words import progress, trouble


@dataclass
class Watched(Painting):
    """A painting that remembers all its moments, and what was shown."""

    moments: list[Moment] = field(default_factory=list)

    def __init__(self, *arguments) -> None:
        self.moments = []
        super().__init__(*arguments)

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "moment":
            self.moments.append(value)


def _wish(small, folder, preset="default") -> Wish:
    structure = keep(small.structure, folder / "s", small.structure.name)
    appearance = keep(small.appearance, folder / "a", small.appearance.name)
    return Wish(structure, appearance, preset, small_studio.presets(small)[preset])


def _run(painting, *, stopping=lambda: False, left=lambda: False) -> list[str]:
    painting.run(stopping, left, {})
    stages: list[str] = []
    for moment in painting.moments:
        if not stages or stages[-1] != moment.stage:
            stages.append(moment.stage)
    return stages


@pytest.mark.slow
def test_the_picture_is_that_of_the_command_line(small, tmp_path, monkeypatch):
    wish = _wish(small, tmp_path)
    painting = Watched(wish, tmp_path / "run")
    assert _run(painting) == ["waiting", "preparing", "painting", "finishing", "done"]
    steps = [moment.step for moment in painting.moments if moment.stage == "painting"]
    assert sorted(set(steps)) == list(range(1, small_studio.STEPS))
    assert painting.moments[-1].outcome.finished
    # The first picture is the toned one, which the preset quick gives.
    quick = Watched(_wish(small, tmp_path, "quick"), tmp_path / "quick")
    assert _run(quick) == ["waiting", "preparing", "done"]
    with Image.open(tmp_path / "quick" / "output.png") as toned:
        tones = np.asarray(toned.resize(wish.structure.size, Image.Resampling.BICUBIC), float)
    shown = [m.picture for m in painting.moments if m.picture is not None]
    assert len(set(shown)) >= 2
    with Image.open(quick.moments[-1].picture) as picture:
        assert np.abs(np.asarray(picture, float) - tones).mean() < 3

    command = command_line(wish.structure.name, wish.appearance.name, "default", wish.settings)
    monkeypatch.chdir(small.structure.parent)
    words = shlex.split(command)[1:]
    assert main([*words, "--output", str(tmp_path / "typed"), "--quiet"]) == 0
    taken = downloads(painting)
    assert taken["picture"].file.name == "structure--appearance.png"
    for kind, name in (
        ("picture", "output.png"),
        ("panel", "panel.png"),
        ("time lapse", "progress.gif"),
    ):
        # A PNG says of which files it was made, and these lie elsewhere.
        with Image.open(taken[kind].file) as mine, Image.open(tmp_path / "typed" / name) as typed:
            assert mine.tobytes() == typed.tobytes(), kind
    # They say of which files they were made as the visitor knows them.
    for file in (taken["picture"].file, taken["record"].file):
        assert str(tmp_path).encode() not in file.read_bytes()
    sources = read_recipe(taken["picture"].file).sources
    assert {what: each.file for what, each in sources.items()} == {
        "structure image": wish.structure.name,
        "appearance image": wish.appearance.name,
    }
    # The first picture is shown before a step is done.
    assert next(m.step for m in painting.moments if m.picture is not None) == 0


def test_colours_are_shown_as_they_are_seen(small, tmp_path):
    # Half transparent, and in a profile of wider colours.
    values = np.full((64, 86, 4), (200, 40, 60, 128), np.uint8)
    profile = zlib.compress(icc_profile(2.2, ADOBE_RGB))
    file = put(tmp_path, "wide.png", png_bytes(values, iCCP=b"wide\0\0" + profile))
    structure = keep(file, tmp_path / "s", file.name)
    appearance = keep(small.appearance, tmp_path / "a", small.appearance.name)
    settings = small_studio.presets(small)["default"].model_copy(
        update={"strength": 0.0, "steps": 1}
    )
    painting = Watched(Wish(structure, appearance, "default", settings), tmp_path / "run")
    _run(painting)
    # At strength 0 the picture is the structure image. From the profile's red to sRGB's, on white:
    linear = np.linalg.solve(SRGB, ADOBE_RGB @ (values[0, 0, :3] / 255) ** 2.2).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    expected = 255 * (srgb * 128 / 255 + 127 / 255)
    for shown in {
        m.picture for m in painting.moments if m.picture is not None and m.picture.is_file()
    }:
        with Image.open(shown) as picture:
            seen = np.asarray(picture.convert("RGB"), float).mean((0, 1))
        np.testing.assert_allclose(seen, expected, atol=4)


@pytest.mark.slow
def test_stopping_keeps_the_picture_so_far(small, tmp_path):
    painting = Watched(_wish(small, tmp_path), tmp_path / "run")
    stages = _run(painting, stopping=lambda: painting.moment.step == 5)
    assert stages[-1] == "stopped"
    last = painting.moment
    assert (last.step, last.outcome.finished, last.outcome.step) == (5, False, 5)
    with Image.open(tmp_path / "run" / "output.png") as picture:
        assert picture.size == (85, 64)
    assert {"picture", "panel", "time lapse"} <= set(downloads(painting))


def test_who_has_left_gets_no_files(small, tmp_path):
    painting = Watched(_wish(small, tmp_path), tmp_path / "run")
    stages = _run(painting, left=lambda: True)
    assert stages[-1] == "stopped"
    assert painting.moment.outcome is None
    assert not (tmp_path / "run" / "panel.png").exists()


def test_a_failure_is_told_and_not_raised(small, tmp_path):
    wish = _wish(small, tmp_path)
    settings = wish.settings.model_copy(update={"weights": str(tmp_path / "none.safetensors")})
    painting = Watched(Wish(wish.structure, wish.appearance, "default", settings), tmp_path / "run")
    assert _run(painting)[-1] == "failed"
    assert "none.safetensors" in painting.moment.words
    assert progress(painting.moment, 0, False).endswith(".safetensors.</p></div>")
    # What nobody foresaw: the folder of the run is a file.
    (tmp_path / "file").write_text("")
    strange = Watched(wish, tmp_path / "file" / "run")
    assert _run(strange)[-1] == "failed"


def test_words_from_outside_are_escaped():
    assert "<script>" not in trouble("<script>alert(1)</script>.png is damaged.")
    failed = Moment(stage="failed", words="<img src=x onerror=y>.png is damaged.")
    assert "<img" not in progress(failed, 0, False)


def test_places_and_steps_are_said():
    assert "Place 1 in the line" in progress(Moment(), 1, False)
    assert "3 pictures are" in progress(Moment(), 3, False)
    half = progress(Moment("painting", "seen at 224 px", 5, 20, 65.2), 0, False)
    assert "width:25.0%" in half and "step 5 of 20 · about 1 min 5 s left" in half
