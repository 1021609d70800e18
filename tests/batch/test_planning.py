"""What is left of a batch to do, and what is told before any work."""

from dataclasses import replace

import pytest
import small_batch
from small_batch import do_task, planned

from splice.batch import Began, Journal, plan_batch, settings_of
from splice.batch.planning import fetch_backbones
from splice.errors import InputError
from splice.pictures.pairs import Pair, plan_pairs

# Planning.


def test_every_pair_gets_a_folder_and_nothing_is_written(small, tmp_path):
    plan = planned(small, tmp_path / "out")
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
    tasks = planned(small, tmp_path).tasks
    assert do_task(tasks[0]).state == "finished"
    stopped = do_task(tasks[2], steps=2)
    assert (stopped.state, stopped.steps) == ("stopped", 2)
    with pytest.raises(InputError, match="runs of 2 of these pairs already; add --resume"):
        planned(small, tmp_path)
    plan = planned(small, tmp_path, resume=True)
    # What has begun comes first.
    assert [task.name for task in plan.tasks] == ["c", "b"]
    assert [task.name for task in plan.finished] == ["a"]
    assert plan.unfinished == 1
    with pytest.raises(InputError, match="--seed 0, not 3"):
        planned(small, tmp_path, resume=True, seed=3)
    heard = []
    assert do_task(plan.tasks[0], heard=heard).state == "finished"
    assert heard[0] == Began("c", 2, 4)
    assert [event.step for event in heard[1:]] == [3, 4]


@pytest.mark.usefixtures("_stand_in")
def test_a_finished_pair_whose_picture_has_changed_is_not_taken_for_finished(tmp_path):
    small = small_batch.make(tmp_path, "a")
    (task,) = planned(small, tmp_path / "out").tasks
    do_task(task)
    task.structure.write_bytes(task.structure.read_bytes() + b"\0")
    with pytest.raises(InputError, match="another structure image"):
        planned(small, tmp_path / "out", resume=True)


def test_an_output_that_is_a_file(small, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="is a file"):
        planned(small, tmp_path / "out")
    with pytest.raises(InputError, match="is a file"):
        Journal(tmp_path / "out")


def test_missing_weights_are_told_before_any_work(small, tmp_path):
    tasks = planned(small, tmp_path).tasks
    assert fetch_backbones(tasks) == {}
    gone = replace(tasks[1], settings=small.settings(weights="/nowhere/vit.safetensors"))
    with pytest.raises(InputError, match=r"/nowhere/vit\.safetensors does not exist"):
        fetch_backbones([*tasks, gone])


def test_pairs_of_a_batch_have_distinct_folders(small, tmp_path):
    pairs = [Pair(name, *_pictures(small)) for name in ("x", "y")]
    plan = plan_batch(pairs, small.settings(), tmp_path)
    assert len({task.folder for task in plan.tasks}) == 2


def _pictures(small):
    pair = plan_pairs(small.pairs).pairs[0]
    return pair.structure, pair.appearance
