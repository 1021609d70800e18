"""The command that measures steps."""

import json

import pytest
import tiny  # noqa: F401  (of the gamut it takes few samples)

from splice.commands.cli import main
from splice.studies.benchmark.stopwatch import PARTS


@pytest.mark.slow
def test_the_command_measures_and_writes(small, tmp_path, capsys):
    file = tmp_path / "step.json"
    options = ["--rounds=1", "--against=literal", f"--json={file}", "--operators=3", "--steps=4"]
    assert main(["bench", *small.arguments, *options, "--quiet"]) == 0
    printed = capsys.readouterr().out
    for line in ("whole step", "step / floor", "literal / step", "peak memory", "Self CPU"):
        assert line in printed
    data = json.loads(file.read_text())
    for key in ("step_seconds", "floor_seconds", "literal_seconds"):
        assert 0 < data[key] < 60
    assert data["settings"]["size"] == 64
    assert data["device"]["type"] == "cpu"
    assert data["parts"].keys() == PARTS.keys()


def test_the_command_takes_noise_where_there_is_no_sample(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("splice.commands.bench.sample_pair", lambda: None)
    file = tmp_path / "step.json"
    options = ["--rounds=1", f"--json={file}", "--steps=2", "--quiet"]
    assert main(["bench", *small.options, *options]) == 0
    data = json.loads(file.read_text())
    assert data["literal_seconds"] is None
    assert data["output"] == [85, 64]
    assert "literal" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one.png"], "give a structure image and an appearance image"),
        (["--against=paper"], "--against cannot be paper"),
        (["--rounds=0"], "--rounds"),
        (["--json=/nowhere/x.json"], "there is no folder"),
        (["--preset=quick"], "--steps is 0, and there is no step to measure"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(arguments, words, capsys):
    assert main(["bench", *arguments]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
