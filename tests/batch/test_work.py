"""One pair of a batch, done here or on a node of a cluster."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import small_batch
import stand_in
import torch
from small_batch import do_task, planned

from splice.analysis.scores.metrics import BETTER
from splice.batch import Began
from splice.batch.shipment import pack, unpack, write_run
from splice.batch.work import Backbones
from splice.errors import InputError, RunError
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.running.recipe import read_recipe

# One pair.


@pytest.mark.slow
@pytest.mark.usefixtures("_stand_in")
def test_the_backbone_is_loaded_once_for_many_pairs(small, tmp_path):
    backbones = Backbones()
    tasks = planned(small, tmp_path).tasks
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
        ended = do_task(replace(task, settings=moved), backbones=backbones)
        assert ended.state == "finished"
        assert ended.scores is not None
        assert set(ended.scores) == set(BETTER)


@pytest.mark.slow
@pytest.mark.usefixtures("_stand_in")
def test_what_goes_wrong_is_told_and_not_raised(tmp_path, monkeypatch):
    small = small_batch.make(tmp_path, "ab")
    small.damage("a")
    damaged, sound = planned(small, tmp_path / "out").tasks
    ended = do_task(damaged)
    assert ended.state == "failed"
    assert "appearance.jpg" in str(ended.reason)
    assert ended.details is None

    def explode(self):
        raise ZeroDivisionError("by zero")
        yield

    monkeypatch.setattr(stand_in.Transfer, "steps", explode)
    ended = do_task(sound)
    assert ended.reason == "something unexpected happened (ZeroDivisionError: by zero)."
    assert "explode" in str(ended.details)

    def exhaust(self):
        raise torch.OutOfMemoryError("CUDA out of memory")
        yield

    monkeypatch.setattr(stand_in.Transfer, "steps", exhaust)
    assert "not enough memory" in str(do_task(sound).reason)


# What travels to the nodes of a cluster.


@pytest.mark.slow
@pytest.mark.usefixtures("_stand_in")
def test_a_run_done_elsewhere_is_written_here_as_if_it_had_been_done_here(small, tmp_path):
    here = planned(small, tmp_path / "here").tasks[0]
    do_task(here, steps=2)
    (tmp_path / "node").mkdir()
    there = unpack(pack(here), tmp_path / "node")
    assert {there.structure.parent, there.appearance.parent} == {tmp_path / "node"}
    heard = []
    assert do_task(there, heard=heard).state == "finished"
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
    plan = planned(small, tmp_path / "here", resume=True)
    assert [task.name for task in plan.finished] == ["a"]
    assert not [path for path in Path(here.folder).iterdir() if path.name not in files]


def test_ray_that_is_missing_or_not_there_is_told_in_a_sentence(small, tmp_path, monkeypatch):
    from splice.batch.cluster import run_on_ray

    tasks = planned(small, tmp_path).tasks
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
