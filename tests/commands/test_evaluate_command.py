"""`splice evaluate`: the scores that it writes, and what it refuses."""

import subprocess

import pytest
import small_run

from splice.commands.cli import main


@pytest.mark.slow
def test_scores_of_outputs_against_another_system(small, tmp_path):
    """Our outputs are copies of the structure images: the row of that baseline, to the digit."""
    import csv
    import json

    for name in ("one", "two"):
        for side, picture in (("A", small.structure), ("B", small.appearance)):
            (tmp_path / "pairs" / name / side).mkdir(parents=True)
            target = tmp_path / "pairs" / name / side / f"picture{picture.suffix}"
            target.write_bytes(picture.read_bytes())
        (tmp_path / "ours" / name).mkdir(parents=True)
        (tmp_path / "ours" / name / "output.png").write_bytes(small.structure.read_bytes())
        (tmp_path / "theirs").mkdir(exist_ok=True)
        (tmp_path / "theirs" / f"{name}.jpg").write_bytes(small.appearance.read_bytes())
    judge = ["--backbone=timm:test_vit", f"--weights={small.weights}", "--device=cpu"]
    files = ["--csv=s.csv", "--json=s.json", "--markdown=s.md"]
    done = subprocess.run(
        [
            *small_run.command("evaluate"),
            "pairs",
            "ours",
            "--against=theirs=theirs",
            *judge,
            *files,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=small_run.environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "pair 2/2\n"
    assert "over 2 common pairs" in done.stdout
    data = json.loads((tmp_path / "s.json").read_text())["systems"]
    assert data["ours"]["pairs"] == data["copy of structure"]["pairs"]
    assert data["ours"]["scores"]["self_sim"]["mean"] == 0
    assert data["theirs"]["scores"]["self_sim"]["mean"] > 0
    with (tmp_path / "s.csv").open() as file:
        assert [row["system"] for row in csv.DictReader(file)][:2] == ["ours", "theirs"]
    assert "| ours |" in (tmp_path / "s.md").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["pairs"], ["OUTPUTS"]),
        (["pairs", "nowhere"], ["nowhere"]),
        (["nowhere", "ours"], ["nowhere"]),
        (["pairs", "ours", "--against", "x"], ["NAME=DIR"]),
        (["pairs", "ours", "--csv", "no/s.csv"], ["no/s.csv", "folder"]),
        (["pairs", "ours", "--steps", "3"], ["--steps"]),
    ],
)
def test_bad_evaluations(small, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    for side, picture in (("A", small.structure), ("B", small.appearance)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        (tmp_path / "pairs" / side / picture.name).write_bytes(picture.read_bytes())
    judge = ["--backbone=timm:test_vit", f"--weights={small.weights}", "--device=cpu"]
    assert main(["evaluate", *options, *judge]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]
