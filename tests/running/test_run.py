"""What a run leaves in its folder, before its first step and at its end."""

import csv
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import stand_in
import torch
from PIL import Image
from stand_in_run import STEPS, run_into, settings_of

from splice.method.settings import Settings
from splice.pictures.images import to_pil
from splice.running.frames import FRAMES, frame_steps
from splice.running.inputs import read_at_most
from splice.running.outcome import earlier_outcome
from splice.running.outputs import CHECKPOINT, FILES, RunFolder
from splice.running.presets import load_preset
from splice.running.run import Run


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    """The plumbing alone is tested here."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())


def test_a_finished_run_leaves_every_file_and_no_other(small, tmp_path):
    outcome, seen = run_into(small, tmp_path / "out")
    assert outcome.finished
    assert seen == list(range(1, STEPS + 1))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == set(FILES) - {CHECKPOINT}


def test_the_record_says_what_was_run(small, tmp_path):
    outcome, _ = run_into(small, tmp_path / "out", seed=5)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["finished"] is True
    assert record["steps"] == STEPS
    assert record["seed"] == 5
    assert Settings.model_validate(record["settings"]) == settings_of(small, seed=5)
    for role, file in (("structure", small.structure), ("appearance", small.appearance)):
        assert record[role]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert record[role]["file"] == str(file)
    assert record["structure"]["size"] == [85, 64]  # 96 x 72 at a short side of 64
    weights = hashlib.sha256(small.weights.read_bytes()).hexdigest()
    assert record["backbone"]["sha256"] == weights
    assert record["backbone"]["name"] == "timm:test_vit"
    assert record["device"]["type"] == "cpu"
    assert record["versions"]["torch"] == torch.__version__
    assert record["peak_memory"]["process_bytes"] > 50e6
    assert 0 < record["seconds"] < 600
    assert record["precision"] == "float32"
    assert set(record["scores"]) == {
        *("self_sim", "dino_i", "texture", "colour", "layout", "artefacts")
    }
    assert outcome.scores is not None


def test_the_scores_are_those_of_the_written_picture(small, tmp_path):
    from splice.analysis.scores.metrics import score
    from splice.backbones.frozen_vit import FrozenViT

    run_into(small, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    vit = FrozenViT.load("timm:test_vit", weights=small.weights)
    pictures = [
        read_at_most(file, 64)
        for file in (tmp_path / "out" / "output.png", small.structure, small.appearance)
    ]
    for name, value in vars(score(vit, *pictures)).items():
        # Within the rounding to 8 bits.
        assert record["scores"][name] == pytest.approx(value, rel=0.05, abs=0.01), name


def test_the_picture_the_panel_and_the_time_lapse(small, tmp_path):
    run_into(small, tmp_path / "out")
    with Image.open(tmp_path / "out" / "output.png") as output:
        assert output.size == (85, 64)
        pixels = np.asarray(output.convert("RGB"))
    with Image.open(tmp_path / "out" / "panel.png") as panel:
        assert panel.height >= 64
        assert panel.width >= 85 + 50 + 85
        # The output is the last picture of the panel.
        right = np.asarray(panel.convert("RGB"))
        columns = range(right.shape[1] - pixels.shape[1] + 1)
        rows = range(right.shape[0] - pixels.shape[0] + 1)
        assert any(
            np.array_equal(right[y : y + 64, x : x + 85], pixels) for y in rows for x in columns
        )
    with Image.open(tmp_path / "out" / "progress.gif") as lapse:
        # The structure image, then a picture after each of the chosen steps.
        assert getattr(lapse, "n_frames", 1) == 1 + len(frame_steps(STEPS))
        assert lapse.size == (85, 64)


def test_a_large_picture_is_cut_down_and_a_small_one_is_not_enlarged(small):
    assert tuple(read_at_most(small.structure, 36).shape) == (3, 36, 48)
    assert tuple(read_at_most(small.structure, 500).shape) == (3, 72, 96)


@pytest.mark.parametrize("steps", [1, 2, 31, 400, 10_000])
def test_the_time_lapse_ends_with_the_run(steps):
    chosen = frame_steps(steps)
    assert max(chosen) == steps
    assert min(chosen) >= 1
    assert len(chosen) <= FRAMES


def test_the_table_of_losses(small, tmp_path):
    run_into(small, tmp_path / "out")
    with (tmp_path / "out" / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, STEPS + 1))
    # The stand-in has the term `entire` at each third step alone.
    assert [row["entire"] for row in rows] == ["", "", "3", "", "", "6", "", "", "9", "", "", "12"]
    assert all(float(row["colour"]) >= 0 for row in rows)


def _shown_at(small, folder: Path, settings: Settings):
    """What is in the picture's file before each step: its pixels, or None where there is none."""
    seen, pictures = [], []
    with RunFolder(folder) as held:
        run = Run(small.files, settings, held)
        steps = run.transfer.steps

        def watched():
            for step in steps():
                yield step
                look()

        def look() -> None:
            file = folder / "output.png"
            seen.append(_pixels(file) if file.exists() else None)
            pictures.append(np.asarray(to_pil(run.transfer.output())))

        def first():
            look()
            yield from watched()

        look()
        run.transfer.steps = first
        run.proceed()
    return seen, pictures


def _pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def test_the_first_picture_stands_in_the_folder_before_the_first_step(small, tmp_path, monkeypatch):
    """And is replaced by better ones, as often as the time lapse takes a picture."""
    monkeypatch.setattr("splice.running.run.SHOWN_RARELY", 0)
    seen, pictures = _shown_at(small, tmp_path / "out", settings_of(small))
    assert seen[0] is None  # while the run is prepared
    assert np.array_equal(seen[1], pictures[1])
    # After a step, the file shows the picture of the latest step at which the time lapse took one.
    taken = frame_steps(STEPS)
    assert 2 < len(taken) <= STEPS
    latest = 0
    for step in range(1, STEPS + 1):
        latest = step if step in taken else latest
        assert np.array_equal(seen[step + 1], pictures[latest + 1]), step
    assert not np.array_equal(seen[1], seen[-1])
    assert np.array_equal(_pixels(tmp_path / "out" / "output.png"), pictures[-1])


def test_a_picture_so_far_that_takes_long_to_write_is_written_rarely(small, tmp_path, monkeypatch):
    monkeypatch.setattr("splice.running.run.SHOWN_RARELY", 1e9)
    seen, pictures = _shown_at(small, tmp_path / "out", settings_of(small))
    assert all(np.array_equal(shown, pictures[1]) for shown in seen[1:])
    assert np.array_equal(_pixels(tmp_path / "out" / "output.png"), pictures[-1])


def test_the_published_method_starts_without_a_picture(small, tmp_path):
    """Its generator paints nothing that is worth a look before it has learnt."""
    changes = {"backbone": "timm:test_vit", "weights": str(small.weights), "size": "64"}
    changes |= {"steps": str(STEPS), "device": "cpu"}
    seen, _ = _shown_at(small, tmp_path / "out", load_preset("paper", changes))
    assert seen[0] is None and seen[1] is None
    assert seen[-1] is not None


def test_a_run_of_no_steps_is_finished_at_once(small, tmp_path):
    outcome, seen = run_into(small, tmp_path / "out", steps=0)
    assert outcome.finished and seen == []
    assert outcome.scores is not None
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == set(FILES) - {CHECKPOINT}
    # The stand-in starts with the structure image.
    expected = np.asarray(to_pil(read_at_most(small.structure, 64)))
    assert np.array_equal(_pixels(outcome.file), expected)
    assert (tmp_path / "out" / "losses.csv").read_text() == "step,seconds,skipped,precision\n"
    for name in ("losses.png", "progress.gif", "panel.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            picture.load()
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["finished"] is True
    assert (record["steps"], record["losses"], record["skipped_steps"]) == (0, {}, 0)
    assert record["seconds_per_step"] == 0
    assert record["scores"] == vars(outcome.scores)
    with RunFolder(tmp_path / "out") as folder:
        settings = settings_of(small, steps=0)
        again = earlier_outcome(folder, small.files, settings)
    assert again is not None and again.finished and again.steps == 0


@pytest.mark.slow
def test_no_file_is_left_open(small, tmp_path):
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    run_into(small, tmp_path / "out")
    before = len(list(Path("/proc/self/fd").iterdir()))
    run_into(small, tmp_path / "out")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
