"""A batch on a Ray cluster of two nodes on this machine, one of which is killed midway."""

import json
import subprocess
import sys

import pytest
import small_batch
import small_run

from splice.batch import plan_batch
from splice.pictures.images import read_image
from splice.pictures.pairs import plan_pairs
from splice.running.outputs import CHECKPOINT
from splice.running.recipe import read_recipe

PROGRAM = small_run.ROOT / "tests" / "helpers" / "ray_batch.py"
CANNOT_START = 77
STEPS = 600


@pytest.mark.slow
@pytest.mark.robustness
@pytest.mark.timeout(900)
def test_every_pair_finishes_though_a_node_is_killed(tmp_path):
    pytest.importorskip("ray")
    small = small_batch.make(tmp_path, "abcd", steps=STEPS)
    small.damage("d")
    output = tmp_path / "out"
    # The node is killed once both nodes are at work and have sent a checkpoint; so many steps that
    # neither ends its first pair while the other still starts.
    done = subprocess.run(
        [sys.executable, PROGRAM, small.pairs, small.preset, small.weights, output],
        env=small_run.environment(RAY_USAGE_STATS_ENABLED="0"),
        capture_output=True,
        text=True,
        timeout=800,
    )
    if done.returncode == CANNOT_START:
        pytest.skip(f"Ray does not start here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    lines = (line for line in done.stdout.splitlines() if line.startswith('{"kind"'))
    events = [json.loads(line) for line in lines]

    def of(kind):
        return [event for event in events if event["kind"] == kind]

    assert len(of("Killed")) == 1
    ends = {event["name"]: event for event in of("Ended")}
    states = {name: end["state"] for name, end in ends.items()}
    assert states == {"a": "finished", "b": "finished", "c": "finished", "d": "failed"}

    # One pair lost its node, and went on elsewhere from the last checkpoint that had come back.
    (lost,) = {event["name"] for event in of("Retried")}
    first, again = [event for event in of("Began") if event["name"] == lost]
    assert (first["step"], first["steps"]) == (0, STEPS)
    assert again["step"] > 0
    # The other node did all of the rest in one process, with one loading of the backbone.
    assert len({end["worker"] for end in ends.values()}) == 1

    pictures = set()
    for name in "abc":
        folder = output / name
        record = json.loads((folder / "run.json").read_text())
        assert record["finished"] is True
        assert record["resumed"] == (1 if name == lost else 0)
        assert record["structure"]["file"] == str(small.pairs / name / "A" / "structure.png")
        assert record["backbone"]["file"] == str(small.weights)
        assert not (folder / CHECKPOINT).exists()
        pictures.add(read_image(folder / "output.png").numpy().tobytes())
        recipe = read_recipe(folder / "output.png")
        assert recipe.sources["structure image"].file == str(
            small.pairs / name / "A" / "structure.png"
        )
        assert recipe.sources["appearance image"].file == str(
            small.pairs / name / "B" / "appearance.jpg"
        )
    assert len(pictures) == 1
    # The damaged picture is named as the user knows it, not as the node does.
    assert str(small.pairs / "d" / "B" / "appearance.jpg") in ends["d"]["reason"]
    left = plan_batch(plan_pairs(small.pairs).pairs, small.settings(), output, resume=True)
    assert [task.name for task in left.tasks] == ["d"]
