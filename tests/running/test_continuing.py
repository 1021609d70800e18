"""A checkpoint is gone on with by the settings and pictures that it is of, and by no others."""

import json
from pathlib import Path

import pytest
import small_checkpoint

from splice.errors import InputError
from splice.running.checkpoint import check_continues, flat

pytestmark = pytest.mark.robustness


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("seed", 1, ["--seed 0, not 1"]),
        ("steps", 99, ["--steps 300, not 99", "larger"]),
        ("backbone", "dino_vits8", ["--backbone dinov2_vits14, not dino_vits8"]),
        ("objective.nearest", 9.0, ["--objective.nearest 5.0, not 9.0"]),
    ],
)
def test_other_settings_are_refused_by_name(name, value, words):
    checkpoint = small_checkpoint.make()
    settings = json.loads(json.dumps(checkpoint.settings))
    inner = settings
    for part in name.split(".")[:-1]:
        inner = inner[part]
    inner[name.split(".")[-1]] = value
    with pytest.raises(InputError) as caught:
        check_continues(checkpoint, settings, checkpoint.inputs, Path("out"))
    for word in ["out", *words]:
        assert word in str(caught.value)


def test_more_steps_and_a_moved_file_of_weights_are_accepted():
    checkpoint = small_checkpoint.make()
    longer = {**checkpoint.settings, "steps": 601, "weights": "elsewhere.pth"}
    check_continues(checkpoint, longer, checkpoint.inputs, Path("out"))


@pytest.mark.parametrize("role", ["structure image", "appearance image"])
def test_other_pictures_are_refused_by_role(role):
    checkpoint = small_checkpoint.make()
    inputs = {**checkpoint.inputs, role: "c" * 64}
    with pytest.raises(InputError, match=f"another {role}"):
        check_continues(checkpoint, checkpoint.settings, inputs, Path("out"))


def test_flat_names_settings_by_their_path():
    assert flat({"a": {"b": {"c": 1}}, "d": [2]}) == {"a.b.c": 1, "d": [2]}
