"""The run's folder: who holds it, what is in it, and what its record says."""

import csv
import hashlib
import json
import math
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import small_run
import stand_in
import torch
from PIL import Image

from splice.errors import InputError, RunError
from splice.method.settings import Settings
from splice.pictures.images import to_pil
from splice.running.frames import FRAMES, frame_steps
from splice.running.inputs import read_at_most
from splice.running.loss_table import LossTable
from splice.running.outcome import earlier_outcome
from splice.running.outputs import CHECKPOINT, FILES, RunFolder
from splice.running.presets import load_preset
from splice.running.run import Run

STEPS = 12


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> small_run.SmallRun:
    return small_run.make(tmp_path_factory.mktemp("small"))


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    """The plumbing alone is tested here."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())


_settings = partial(small_run.settings, steps=STEPS)


def _run(small: small_run.SmallRun, folder: Path, *, resume: bool = False, stop_at=None, **changes):
    """One run of the stand-in; `stop_at` stops it after that step."""
    settings = _settings(small, **changes)
    seen: list[int] = []
    with RunFolder(folder) as held:
        run = Run(small.files, settings, held, resume=resume)
        outcome = run.proceed(
            watch=lambda step: seen.append(step.step),
            stop=lambda: 143 if stop_at is not None and seen[-1] >= stop_at else None,
            checkpoint_every=0.0,
        )
    return outcome, seen


def test_a_finished_run_leaves_every_file_and_no_other(small, tmp_path):
    outcome, seen = _run(small, tmp_path / "out")
    assert outcome.finished
    assert seen == list(range(1, STEPS + 1))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == set(FILES) - {CHECKPOINT}


def test_the_record_says_what_was_run(small, tmp_path):
    outcome, _ = _run(small, tmp_path / "out", seed=5)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["finished"] is True
    assert record["steps"] == STEPS
    assert record["seed"] == 5
    assert Settings.model_validate(record["settings"]) == _settings(small, seed=5)
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

    _run(small, tmp_path / "out")
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
    _run(small, tmp_path / "out")
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
    _run(small, tmp_path / "out")
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
    seen, pictures = _shown_at(small, tmp_path / "out", _settings(small))
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
    seen, pictures = _shown_at(small, tmp_path / "out", _settings(small))
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
    outcome, seen = _run(small, tmp_path / "out", steps=0)
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
        settings = _settings(small, steps=0)
        again = earlier_outcome(folder, small.files, settings)
    assert again is not None and again.finished and again.steps == 0


def test_a_stopped_run_leaves_the_picture_so_far_and_goes_on_as_if_nothing_had_been(
    small, tmp_path
):
    whole, _ = _run(small, tmp_path / "whole")
    stopped, seen = _run(small, tmp_path / "out", stop_at=5)
    assert not stopped.finished
    assert (stopped.step, stopped.exit_status) == (5, 143)
    assert seen == [1, 2, 3, 4, 5]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["finished"] is False
    assert record["steps"] == 5
    assert record["scores"] is None
    resumed, seen = _run(small, tmp_path / "out", resume=True)
    assert resumed.finished
    assert seen == list(range(6, STEPS + 1))
    assert resumed.file.read_bytes() == whole.file.read_bytes()
    for name in ("losses.csv", "progress.gif", "panel.png", "losses.png"):
        first, second = tmp_path / "whole" / name, tmp_path / "out" / name
        assert first.read_bytes() == second.read_bytes(), name
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["resumed"] == 1
    assert not (tmp_path / "out" / CHECKPOINT).exists()


def test_resuming_where_nothing_was_written_starts(small, tmp_path):
    outcome, seen = _run(small, tmp_path / "out", resume=True)
    assert outcome.finished
    assert seen[0] == 1


def test_an_unfinished_run_is_not_overwritten(small, tmp_path):
    _run(small, tmp_path / "out", stop_at=3)
    before = (tmp_path / "out" / CHECKPOINT).read_bytes()
    with pytest.raises(InputError, match="--resume"):
        _run(small, tmp_path / "out")
    assert (tmp_path / "out" / CHECKPOINT).read_bytes() == before


def test_a_finished_run_is_replaced_and_other_files_stay(small, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    first, _ = _run(small, tmp_path / "out", seed=1)
    before = first.file.read_bytes()
    second, _ = _run(small, tmp_path / "out", seed=2)
    assert second.file.read_bytes() != before
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_more_steps_go_on_from_the_checkpoint(small, tmp_path):
    _run(small, tmp_path / "out", stop_at=STEPS - 1)
    outcome, seen = _run(small, tmp_path / "out", resume=True, steps=STEPS + 3)
    assert outcome.finished
    assert seen == list(range(STEPS, STEPS + 4))


def test_a_finished_run_that_is_resumed_is_left_as_it_is(small, tmp_path):
    _run(small, tmp_path / "out")
    with RunFolder(tmp_path / "out") as folder:
        settings = _settings(small)
        outcome = earlier_outcome(folder, small.files, settings)
        assert outcome is not None
        assert outcome.finished
        with pytest.raises(InputError, match="--seed 0, not 9"):
            other = _settings(small, seed=9)
            earlier_outcome(folder, small.files, other)
        with pytest.raises(InputError, match="another structure image"):
            earlier_outcome(folder, replace(small.files, structure=small.appearance), settings)
        with pytest.raises(InputError, match="finished after 12 steps"):
            longer = _settings(small, steps=STEPS + 1)
            earlier_outcome(folder, small.files, longer)


@pytest.mark.slow
@pytest.mark.robustness
def test_a_second_run_into_one_folder_is_refused_while_the_first_is_there(tmp_path):
    with RunFolder(tmp_path / "out"):
        with pytest.raises(InputError, match="another run is writing"):
            RunFolder(tmp_path / "out")
        code = (
            "import sys; from pathlib import Path; from splice.running.outputs import RunFolder\n"
            "try: RunFolder(Path(sys.argv[1]))\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "out")],
            capture_output=True,
            text=True,
            check=True,
            env=small_run.environment(),
        )
        assert done.stdout.startswith("InputError another run is writing")
    RunFolder(tmp_path / "out").release()


@pytest.mark.robustness
def test_runs_without_a_folder_of_their_own_never_share_one(tmp_path):
    """Eight at once: eight folders."""
    barrier = threading.Barrier(8)
    folders: list[RunFolder] = []

    def claim() -> None:
        barrier.wait()
        folders.append(RunFolder.numbered(tmp_path / "outputs", "a--b"))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = sorted(folder.path.name for folder in folders)
    assert names == sorted(["a--b", *(f"a--b-{number}" for number in range(2, 9))])


def test_resuming_takes_the_newest_unfinished_folder(tmp_path):
    root = tmp_path / "outputs"
    for name in ("a--b", "a--b-2", "a--b-3"):
        (root / name).mkdir(parents=True)
        (root / name / "run.json").touch()
    for name in ("a--b", "a--b-2"):
        (root / name / CHECKPOINT).touch()
    with RunFolder.numbered(root, "a--b", resume=True) as folder:
        assert folder.path == root / "a--b-2"
        # What another process holds is left to it.
        with RunFolder.numbered(root, "a--b", resume=True) as second:
            assert second.path == root / "a--b"
        with RunFolder.numbered(root, "a--b") as third:
            assert third.path == root / "a--b-4"
    assert not (root / "a--b-4").exists()


def test_a_folder_made_for_nothing_goes_and_one_that_was_there_stays(tmp_path):
    RunFolder(tmp_path / "new").release()
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    RunFolder(tmp_path / "old").release()
    assert list((tmp_path / "old").iterdir()) == []


@pytest.mark.robustness
def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".splice-0123456789abcdef.tmp").write_bytes(b"half")
    with RunFolder(tmp_path / "out") as folder:
        assert [path.name for path in folder.path.iterdir()] == [".lock"]


@pytest.mark.robustness
def test_a_folder_that_vanishes_is_told_as_that(small, tmp_path):
    import shutil

    with RunFolder(tmp_path / "out") as folder:
        run = Run(small.files, _settings(small), folder)

        def vanish(step) -> None:
            if step.step == 4:
                shutil.rmtree(tmp_path / "out")

        with pytest.raises(RunError, match="vanished"):
            run.proceed(watch=vanish, checkpoint_every=0.0)


@pytest.mark.robustness
def test_a_failed_optimisation_leaves_its_picture_and_the_last_checkpoint(small, tmp_path):
    with RunFolder(tmp_path / "out") as folder:
        run = Run(small.files, _settings(small), folder)
        good = run.transfer.steps

        def failing():
            for step in good():
                yield step
                if step.step == 4:
                    raise RunError("ten steps in a row were not finite")

        run.transfer.steps = failing
        with pytest.raises(RunError, match="ten steps"):
            run.proceed(checkpoint_every=0.0)
        assert folder.has("output.png")
        assert folder.read_record()["finished"] is False
    outcome, seen = _run(small, tmp_path / "out", resume=True)
    assert outcome.finished
    assert seen[0] == 5


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/x", "/dev/null"])
def test_hopeless_folders(place):
    with pytest.raises(InputError, match="--output"):
        RunFolder(Path(place))
    with pytest.raises(InputError, match="--output"):
        RunFolder.numbered(Path(place), "a--b")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(InputError, match="is a file"):
        RunFolder(tmp_path / "x")


def test_numbers_that_are_not_finite_are_null_in_the_record(tmp_path):
    with RunFolder(tmp_path / "out") as folder:
        folder.write_record({"a": [math.nan, 1.5, {"b": -math.inf}], "c": (2,), "d": "x"})
        text = (tmp_path / "out" / "run.json").read_text()
        # Strict: `json` would read NaN back without complaint.
        record = json.loads(text, parse_constant=lambda name: pytest.fail(name))
        assert record == {"a": [None, 1.5, {"b": None}], "c": [2], "d": "x"}


def test_history_survives_its_checkpoint():
    loss_table = LossTable()
    for step, losses in enumerate(
        [{"a": torch.tensor(0.1)}, {"a": 1 / 3, "b": float("nan")}, {}, {"b": torch.tensor(2.0)}], 1
    ):
        loss_table.add(stand_in.Step(step, 9, losses, 0.25 * step, step == 2, "bfloat16"))
    restored = LossTable.restored(loss_table.state())
    assert restored.csv() == loss_table.csv()
    assert restored.rows[1]["a"] == 1 / 3
    assert math.isnan(restored.rows[1]["b"])
    assert "b" not in restored.rows[0]
    assert restored.last() == {"a": 1 / 3, "b": 2.0}
    assert restored.seconds() == 0.25 + 0.5 + 0.75 + 1.0
    assert restored.skipped() == 1
    assert restored.precision() == "bfloat16"
    assert LossTable.restored(LossTable().state()).csv() == "step,seconds,skipped,precision\n"


@pytest.mark.slow
def test_no_file_is_left_open(small, tmp_path):
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    _run(small, tmp_path / "out")
    before = len(list(Path("/proc/self/fd").iterdir()))
    _run(small, tmp_path / "out")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
