"""An earlier run in the folder is gone on with, left alone, replaced or refused."""

import json
import sys
from dataclasses import replace

import pytest
import stand_in
from stand_in_run import STEPS, run_into, settings_of

from splice.errors import InputError, RunError
from splice.running.outcome import earlier_outcome
from splice.running.outputs import CHECKPOINT, FILES, RunFolder
from splice.running.run import Run


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    """The plumbing alone is tested here."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())


def test_a_stopped_run_leaves_the_picture_so_far_and_goes_on_as_if_nothing_had_been(
    small, tmp_path
):
    whole, _ = run_into(small, tmp_path / "whole")
    stopped, seen = run_into(small, tmp_path / "out", stop_at=5)
    assert not stopped.finished
    assert (stopped.step, stopped.exit_status) == (5, 143)
    assert seen == [1, 2, 3, 4, 5]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["finished"] is False
    assert record["steps"] == 5
    assert record["scores"] is None
    resumed, seen = run_into(small, tmp_path / "out", resume=True)
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
    outcome, seen = run_into(small, tmp_path / "out", resume=True)
    assert outcome.finished
    assert seen[0] == 1


def test_an_unfinished_run_is_not_overwritten(small, tmp_path):
    run_into(small, tmp_path / "out", stop_at=3)
    before = (tmp_path / "out" / CHECKPOINT).read_bytes()
    with pytest.raises(InputError, match="--resume"):
        run_into(small, tmp_path / "out")
    assert (tmp_path / "out" / CHECKPOINT).read_bytes() == before


def test_a_finished_run_is_replaced_and_other_files_stay(small, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    first, _ = run_into(small, tmp_path / "out", seed=1)
    before = first.file.read_bytes()
    second, _ = run_into(small, tmp_path / "out", seed=2)
    assert second.file.read_bytes() != before
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_more_steps_go_on_from_the_checkpoint(small, tmp_path):
    run_into(small, tmp_path / "out", stop_at=STEPS - 1)
    outcome, seen = run_into(small, tmp_path / "out", resume=True, steps=STEPS + 3)
    assert outcome.finished
    assert seen == list(range(STEPS, STEPS + 4))


def test_a_finished_run_that_is_resumed_is_left_as_it_is(small, tmp_path):
    run_into(small, tmp_path / "out")
    with RunFolder(tmp_path / "out") as folder:
        settings = settings_of(small)
        outcome = earlier_outcome(folder, small.files, settings)
        assert outcome is not None
        assert outcome.finished
        with pytest.raises(InputError, match="--seed 0, not 9"):
            other = settings_of(small, seed=9)
            earlier_outcome(folder, small.files, other)
        with pytest.raises(InputError, match="another structure image"):
            earlier_outcome(folder, replace(small.files, structure=small.appearance), settings)
        with pytest.raises(InputError, match="finished after 12 steps"):
            longer = settings_of(small, steps=STEPS + 1)
            earlier_outcome(folder, small.files, longer)


@pytest.mark.robustness
def test_a_failed_optimisation_leaves_its_picture_and_the_last_checkpoint(small, tmp_path):
    with RunFolder(tmp_path / "out") as folder:
        run = Run(small.files, settings_of(small), folder)
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
    outcome, seen = run_into(small, tmp_path / "out", resume=True)
    assert outcome.finished
    assert seen[0] == 5
