"""The parts of a batch one by one: what is left to do, how fast it goes, what is recorded."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import small_batch
import stand_in
import torch

from splice.analysis.scores.metrics import BETTER
from splice.batch import (
    Began,
    Ended,
    Journal,
    Pace,
    Retried,
    Stepped,
    placements,
    plan_batch,
    read_journal,
    settings_of,
)
from splice.batch.planning import fetch_backbones
from splice.batch.shipment import pack, unpack, write_run
from splice.batch.work import Backbones, carry_out
from splice.commands.batch_progress import standing
from splice.errors import InputError, RunError
from splice.pictures.pairs import Pair, plan_pairs
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.running.recipe import read_recipe


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> small_batch.SmallBatch:
    return small_batch.make(tmp_path_factory.mktemp("small"))


@pytest.fixture
def _stand_in(monkeypatch):
    """What surrounds the optimisation is tested here, not the optimisation."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())


def _plan(small, output, *, resume=False, **changes):
    pairs = plan_pairs(small.pairs).pairs
    return plan_batch(pairs, small.settings(**changes), output, resume=resume)


def _do(task, *, steps=None, heard=None, backbones=None):
    """Do one task in this process, or the first `steps` of it."""
    heard = [] if heard is None else heard
    backbones = backbones or Backbones()
    return carry_out(
        task,
        lambda: backbones.get(task.settings),
        tell=heard.append,
        stop=lambda: steps is not None and len(heard) > steps,
        tell_every=0.0,
        checkpoint_every=0.0,
    )


# Planning.


def test_every_pair_gets_a_folder_and_nothing_is_written(small, tmp_path):
    plan = _plan(small, tmp_path / "out")
    assert [task.name for task in plan.tasks] == ["a", "b", "c"]
    assert [task.folder for task in plan.tasks] == [tmp_path / "out" / name for name in "abc"]
    assert plan.finished == ()
    assert not (tmp_path / "out").exists()


def test_a_pair_s_own_settings_are_laid_over_those_of_the_batch(small):
    settings = small.settings(seed=7)
    assert settings_of(settings, {}) is settings
    own = settings_of(settings, {"objective.structure": 0.5, "size": "64", "beta1": 0.8})
    assert (own.objective.structure, own.size, own.optimiser.beta1, own.seed) == (0.5, 64, 0.8, 7)
    assert own.objective.appearance == settings.objective.appearance > 0
    assert settings.size == 32
    with pytest.raises(InputError, match="steps cannot be many: it should be a whole number"):
        settings_of(settings, {"steps": "many"})
    with pytest.raises(InputError, match=r"no setting stepz .did you mean steps"):
        settings_of(settings, {"stepz": 3})


@pytest.mark.slow
@pytest.mark.usefixtures("_stand_in")
def test_what_is_left_after_a_finished_and_an_unfinished_pair(small, tmp_path):
    tasks = _plan(small, tmp_path).tasks
    assert _do(tasks[0]).state == "finished"
    stopped = _do(tasks[2], steps=2)
    assert (stopped.state, stopped.steps) == ("stopped", 2)
    with pytest.raises(InputError, match="runs of 2 of these pairs already; add --resume"):
        _plan(small, tmp_path)
    plan = _plan(small, tmp_path, resume=True)
    # What has begun comes first.
    assert [task.name for task in plan.tasks] == ["c", "b"]
    assert [task.name for task in plan.finished] == ["a"]
    assert plan.unfinished == 1
    with pytest.raises(InputError, match="--seed 0, not 3"):
        _plan(small, tmp_path, resume=True, seed=3)
    heard = []
    assert _do(plan.tasks[0], heard=heard).state == "finished"
    assert heard[0] == Began("c", 2, 4)
    assert [event.step for event in heard[1:]] == [3, 4]


@pytest.mark.usefixtures("_stand_in")
def test_a_finished_pair_whose_picture_has_changed_is_not_taken_for_finished(tmp_path):
    small = small_batch.make(tmp_path, "a")
    (task,) = _plan(small, tmp_path / "out").tasks
    _do(task)
    task.structure.write_bytes(task.structure.read_bytes() + b"\0")
    with pytest.raises(InputError, match="another structure image"):
        _plan(small, tmp_path / "out", resume=True)


def test_an_output_that_is_a_file(small, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="is a file"):
        _plan(small, tmp_path / "out")
    with pytest.raises(InputError, match="is a file"):
        Journal(tmp_path / "out")


def test_missing_weights_are_told_before_any_work(small, tmp_path):
    tasks = _plan(small, tmp_path).tasks
    assert fetch_backbones(tasks) == {}
    gone = replace(tasks[1], settings=small.settings(weights="/nowhere/vit.safetensors"))
    with pytest.raises(InputError, match=r"/nowhere/vit\.safetensors does not exist"):
        fetch_backbones([*tasks, gone])


# One pair.


@pytest.mark.slow
@pytest.mark.usefixtures("_stand_in")
def test_the_backbone_is_loaded_once_for_many_pairs(small, tmp_path):
    backbones = Backbones()
    tasks = _plan(small, tmp_path).tasks
    first = backbones.get(tasks[0].settings)
    assert all(backbones.get(task.settings) is first for task in tasks)
    # The file of weights may go: nothing reads it again.
    weights = tmp_path / "vit.safetensors"
    weights.write_bytes(small.weights.read_bytes())
    moved = small.settings(weights=str(weights))
    second = backbones.get(moved)
    weights.unlink()
    assert second is not first
    for task in tasks[:2]:
        ended = _do(replace(task, settings=moved), backbones=backbones)
        assert ended.state == "finished"
        assert ended.scores is not None
        assert set(ended.scores) == set(BETTER)


@pytest.mark.slow
@pytest.mark.usefixtures("_stand_in")
def test_what_goes_wrong_is_told_and_not_raised(tmp_path, monkeypatch):
    small = small_batch.make(tmp_path, "ab")
    small.damage("a")
    damaged, sound = _plan(small, tmp_path / "out").tasks
    ended = _do(damaged)
    assert ended.state == "failed"
    assert "appearance.jpg" in str(ended.reason)
    assert ended.details is None

    def explode(self):
        raise ZeroDivisionError("by zero")
        yield

    monkeypatch.setattr(stand_in.Transfer, "steps", explode)
    ended = _do(sound)
    assert ended.reason == "something unexpected happened (ZeroDivisionError: by zero)."
    assert "explode" in str(ended.details)

    def exhaust(self):
        raise torch.OutOfMemoryError("CUDA out of memory")
        yield

    monkeypatch.setattr(stand_in.Transfer, "steps", exhaust)
    assert "not enough memory" in str(_do(sound).reason)


# Speed.


def test_pace_counts_pairs_and_time_as_a_hand_would():
    now = [100.0]
    pace = Pace({"a": 100, "b": 100, "c": 200}, clock=lambda: now[0])
    assert pace.pairs_per_hour is None
    assert pace.seconds_left is None
    assert pace.done == 0
    pace.add(Began("a", 0, 100))
    now[0] += 10
    pace.add(Stepped("a", 50))
    # Half a pair in 10 s; 350 steps left at 5 a second.
    assert pace.pairs_per_hour == pytest.approx(180)
    assert pace.seconds_left == pytest.approx(70)
    assert pace.done == pytest.approx(50 / 400)
    pace.add(Ended("a", "finished", 100, 10.0))
    # `b` was half done by an earlier batch: that is not this one's speed.
    pace.add(Began("b", 50, 100))
    now[0] += 10
    pace.add(Stepped("b", 100))
    assert pace.pairs_per_hour == pytest.approx(1.5 * 180)
    assert pace.seconds_left == pytest.approx(200 / (150 / 20))
    pace.add(Ended("b", "failed", 100, 10.0, "no"))
    assert (pace.finished, pace.failed, pace.total) == (1, 1, 3)
    assert pace.running == {}
    assert standing(pace) == "1/3 pairs, 1 failed, 270 pairs/h, 27 s left"
    pace.add(Ended("c", "failed", 0, 0.0, "no"))
    assert pace.seconds_left == 0
    assert pace.done == 1


def test_pace_of_a_pair_that_lost_its_worker():
    now = [0.0]
    pace = Pace({"a": 100}, clock=lambda: now[0])
    pace.add(Began("a", 0, 100))
    now[0] = 10
    pace.add(Stepped("a", 80))
    pace.add(Retried("a", "gone"))
    pace.add(Began("a", 60, 100))
    assert pace.done == pytest.approx(0.6)
    # 40 steps to go, at the 8 a second that the machine has shown.
    assert pace.seconds_left == pytest.approx(5)


def test_pace_of_pairs_without_steps():
    """As the preset `quick` has them: their tones alone are made."""
    now = [0.0]
    pace = Pace({"a": 0, "b": 0}, clock=lambda: now[0])
    pace.add(Began("a", 0, 0))
    now[0] = 10
    pace.add(Ended("a", "finished", 0, 10.0))
    assert (pace.finished, pace.running) == (1, {})
    assert pace.pairs_per_hour == pytest.approx(360)
    pace.add(Began("b", 0, 0))
    now[0] = 20
    pace.add(Ended("b", "finished", 0, 10.0))
    assert (pace.done, pace.seconds_left) == (1, 0)
    assert pace.pairs_per_hour == pytest.approx(360)


# The record.


def test_the_journal_tells_how_each_pair_ended_and_the_last_line_counts(tmp_path):
    with Journal(tmp_path / "out") as journal:
        journal.skip("line 3: no picture")
        journal.add(Began("a", 0, 3))
        journal.add(Ended("a", "failed", 1, 0.5, "the disk burns", "Traceback"))
        journal.add(Ended("b", "finished", 3, 2.0, scores={"texture": 0.5, "colour": math.nan}))
        with pytest.raises(InputError, match="another batch is writing"):
            Journal(tmp_path / "out")
    with Journal(tmp_path / "out") as journal:
        journal.add(Ended("a", "finished", 3, 3.0, worker="machine 7"))
    lines = (tmp_path / "out" / "batch.jsonl").read_text().splitlines()
    fail = pytest.fail
    rows = [json.loads(line, parse_constant=lambda name: fail(name)) for line in lines]
    assert [row["state"] for row in rows] == ["skipped", "failed", "finished", "finished"]
    assert rows[0]["reason"] == "line 3: no picture"
    assert rows[1]["reason"] == "the disk burns"
    last = read_journal(tmp_path / "out")
    assert set(last) == {"a", "b"}
    assert last["a"]["worker"] == "machine 7"
    assert last["b"]["scores"] == {"texture": 0.5, "colour": None}


def test_a_line_that_a_kill_cut_short_costs_that_line_alone(tmp_path):
    with Journal(tmp_path) as journal:
        journal.add(Ended("a", "finished"))
    with journal.path.open("ab") as file:
        file.write(b'{"pair": "b", "sta')
    with Journal(tmp_path) as journal:
        journal.add(Ended("c", "finished"))
    assert set(read_journal(tmp_path)) == {"a", "c"}
    assert read_journal(tmp_path / "nowhere") == {}


# Where workers run.


def test_workers_are_spread_over_the_gpus_that_may_be_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5,GPU-7a")

    def gpus(*args, **kwargs):
        return [place.get("CUDA_VISIBLE_DEVICES") for place in placements(*args, **kwargs)]

    assert gpus() == ["2", "5", "GPU-7a"]
    assert gpus(pairs_per_device=2) == ["2", "5", "GPU-7a"] * 2
    assert gpus(4) == ["2", "5", "GPU-7a", "2"]
    assert gpus(2, device="cuda") == ["2", "5"]
    # A certain device is left to the workers themselves, and so is the only one.
    assert gpus(device="cuda:1") == [None]
    assert gpus(pairs_per_device=3, device="cpu") == [None] * 3
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus() == ["0", "1", "2"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert gpus(2) == [None, None]


def test_without_a_gpu_there_is_one_worker_or_as_many_as_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert placements() == [{}]
    assert placements(3) == [{}] * 3


# What travels to the nodes of a cluster.


@pytest.mark.slow
@pytest.mark.usefixtures("_stand_in")
def test_a_run_done_elsewhere_is_written_here_as_if_it_had_been_done_here(small, tmp_path):
    here = _plan(small, tmp_path / "here").tasks[0]
    _do(here, steps=2)
    (tmp_path / "node").mkdir()
    there = unpack(pack(here), tmp_path / "node")
    assert {there.structure.parent, there.appearance.parent} == {tmp_path / "node"}
    heard = []
    assert _do(there, heard=heard).state == "finished"
    assert heard[0] == Began("a", 2, 4)
    files = {path.name: path.read_bytes() for path in there.folder.iterdir()}
    with RunFolder(here.folder) as folder:
        write_run(folder, files, here)
    assert not (here.folder / CHECKPOINT).exists()
    record = json.loads((here.folder / "run.json").read_text())
    assert record["structure"]["file"] == str(here.structure)
    assert record["appearance"]["file"] == str(here.appearance)
    recipe = read_recipe(here.folder / "output.png")
    assert recipe.sources["structure image"].file == str(here.structure)
    assert recipe.sources["appearance image"].file == str(here.appearance)
    plan = _plan(small, tmp_path / "here", resume=True)
    assert [task.name for task in plan.finished] == ["a"]
    assert not [path for path in Path(here.folder).iterdir() if path.name not in files]


def test_ray_that_is_missing_or_not_there_is_told_in_a_sentence(small, tmp_path, monkeypatch):
    from splice.batch.cluster import run_on_ray

    tasks = _plan(small, tmp_path).tasks
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError, match=r"pip install 'splice-vit\[ray\]'"):
        list(run_on_ray(tasks, "local"))
    monkeypatch.undo()
    pytest.importorskip("ray")
    with pytest.raises(InputError, match="Ray's client"):
        list(run_on_ray(tasks, "ray://head:10001"))
    with pytest.raises(InputError, match=r"should be HOST:PORT, auto or local"):
        list(run_on_ray(tasks, "somewhere"))
    with pytest.raises(RunError, match=r"no Ray cluster answers at --ray 127\.0\.0\.1:9"):
        list(run_on_ray(tasks, "127.0.0.1:9"))


def test_pairs_of_a_batch_have_distinct_folders(small, tmp_path):
    pairs = [Pair(name, *_pictures(small)) for name in ("x", "y")]
    plan = plan_batch(pairs, small.settings(), tmp_path)
    assert len({task.folder for task in plan.tasks}) == 2


def _pictures(small):
    pair = plan_pairs(small.pairs).pairs[0]
    return pair.structure, pair.appearance
