"""`splice invert` end to end, on a tiny backbone from a file."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_run
import torch
from PIL import Image
from told import error_line

from splice.commands.cli import main


@pytest.fixture
def few(backbone) -> list[str]:
    return [*backbone, "--size=80", "--steps=4", "--precision=fp32", "--quiet"]


def record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def fails(capsys, arguments: list[str], *words: str, status: int = 2) -> None:
    """The command ends with one sentence on the standard error stream that holds the words."""
    assert main(arguments) == status
    line = error_line(capsys)
    for word in words:
        assert word in line, line


# splice invert


@pytest.mark.slow
def test_inversion_writes_everything(small, few, tmp_path, capsys):
    out = tmp_path / "out"
    files = [str(small.structure), str(small.appearance)]
    arguments = ["invert", *files, *few, f"--output={out}", "--block", "1", "3", "--seeds=2"]
    assert main([*arguments, "--feature", "cls"]) == 0
    assert capsys.readouterr().out.strip() == str(out / "grid.png")
    names = sorted(path.name for path in out.iterdir())
    pictures = [
        f"{image}-block{block:02}-seed{seed}.png"
        for image in ("appearance", "structure")
        for block in (1, 3)
        for seed in (0, 1)
    ]
    others = ["grid.png", "losses.csv", "losses.png", "progress.gif", "run.json"]
    assert names == sorted(pictures + others)
    with (out / "losses.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][0] == "step" and len(rows[0]) == 1 + 8
    assert [row[0] for row in rows[1:]] == ["1", "2", "3", "4"]
    assert all(float(cell) > 0 for row in rows[1:] for cell in row[1:])
    told = record(out)
    assert told["finished"] and told["steps"] == 4 and told["feature"] == "cls"
    assert [each["file"] for each in told["inversions"]] == [
        f"{image}-block{block:02}-seed{seed}.png"
        for image in ("structure", "appearance")
        for seed in (0, 1)
        for block in (1, 3)
    ]
    assert told["inversions"][1]["block"] == 3 and told["inversions"][1]["relative_distance"] > 0
    with Image.open(out / pictures[0]) as picture:
        appearance = picture.size
    with Image.open(small.appearance) as original:
        assert appearance[1] / appearance[0] == pytest.approx(original.height / original.width, 0.2)
    with Image.open(out / "grid.png") as grid:
        assert grid.height > 4 * 80 and grid.width > 3 * 80
    with Image.open(out / "progress.gif") as movie:
        assert movie.n_frames > 1


@pytest.mark.slow
def test_inversion_resumes_to_the_same_bytes(small, few, tmp_path, capsys):
    """Stopped by ctrl-C between two steps, with the status of that; then gone on with."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    few = [*few, "--feature=cls", "--block=2", "--steps=16"]
    arguments = ["invert", str(small.structure), *few]
    torch.set_num_threads(1)  # as the other process has
    assert main([*arguments, f"--output={whole}"]) == 0
    # Resuming before anything was written starts.
    into_parts = [*arguments, f"--output={parts}", "--resume"]
    loud = [word for word in into_parts if word != "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "splice", *loud, "--checkpoint-every=0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=small_run.environment(),
    )
    limit = time.monotonic() + 200
    while not (parts / "checkpoint.safetensors").exists() and time.monotonic() < limit:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=200)
    assert process.returncode == 130, told
    assert "--resume --output" in told and "Traceback" not in told
    assert (parts / "grid.png").exists() and (parts / "block02-seed0.png").exists()
    assert not record(parts)["finished"] and 0 < record(parts)["steps"] < 16

    # Without --resume the unfinished run is not overwritten, and other settings are refused.
    capsys.readouterr()
    fails(capsys, [*arguments, f"--output={parts}"], "--resume")
    fails(capsys, [*into_parts, "--seed=3"], "--seed 0, not 3")
    fails(capsys, [*into_parts, "--steps=50"], "--steps 16")

    assert main(into_parts) == 0
    assert not (parts / "checkpoint.safetensors").exists()
    for name in ("block02-seed0.png", "grid.png", "losses.csv", "progress.gif"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    before = (parts / "grid.png").stat().st_mtime_ns
    assert main(into_parts) == 0  # nothing is left to do
    assert (parts / "grid.png").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_longer_run_of_keys_may_go_on(small, few, tmp_path, monkeypatch):
    """Without noise and with a constant learning rate, more steps only add to those done."""
    preset = tmp_path / "constant.yaml"
    preset.write_text("decay: 0\n")
    arguments = ["invert", str(small.structure), *few, f"--preset={preset}", "--block=1"]
    short, long = tmp_path / "short", tmp_path / "long"
    assert main([*arguments, "--steps=6", f"--output={long}"]) == 0

    import splice.studies.inversion.run as run

    monkeypatch.setattr(run.InversionRun, "proceed", _stopping_after(3, run.InversionRun.proceed))
    assert main([*arguments, "--steps=5", f"--output={short}"]) == 130
    monkeypatch.undo()
    assert main([*arguments, "--steps=6", f"--output={short}", "--resume"]) == 0
    name = "block01-seed0.png"
    assert (short / name).read_bytes() == (long / name).read_bytes()


def _stopping_after(steps: int, proceed):
    def stopped(self, *, watch, stop, checkpoint_every):
        seen = []
        return proceed(
            self,
            watch=seen.append,
            stop=lambda: 130 if len(seen) == steps else None,
            checkpoint_every=checkpoint_every,
        )

    return stopped


def test_a_finished_folder_is_written_anew(small, few, tmp_path):
    # At a short side of 85 it is 144 x 80 pixels in patches, and that once more would be 160 x 80.
    picture = tmp_path / "wide.png"
    Image.new("RGB", (106, 66), (200, 90, 30)).save(picture)
    small_steps = ["--steps=1", "--size=85", f"--output={tmp_path / 'out'}"]
    arguments = ["invert", str(picture), *few, *small_steps]
    mine = tmp_path / "out" / "mine.txt"
    assert main([*arguments, "--block=1"]) == 0
    mine.write_text("kept")
    assert main([*arguments, "--block=2"]) == 0
    pictures = sorted(path.name for path in (tmp_path / "out").glob("block*.png"))
    assert pictures == ["block02-seed0.png"]
    assert mine.read_text() == "kept"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--feature=color"], ["--feature", "color", "cls, keys, tokens, self-similarity"]),
        (["--block=7"], ["--block 7", "blocks 1 to 6"]),
        (["--block", "first"], ["--block", "number from 1, or all"]),
        (["--steps=-1"], ["--steps", "-1"]),
        (["--sed=1"], ["--sed", "did you mean --seed"]),
        (["--preset=quick"], ["quick", "inversion-quick"]),
        (["--together=0"], ["--together", "at least 1"]),
        (["--device=cuda:99"], ["cuda"]),
        (["--precision=fp8"], ["--precision", "fp32"]),
        (["--backbone=dinov4"], ["dinov4", "dinov2_vits14"]),
    ],
)
def test_mistakes_of_inversion_are_named(small, few, tmp_path, capsys, options, words):
    out = tmp_path / "out"
    arguments = ["invert", str(small.structure), *few, *options, f"--output={out}"]
    fails(capsys, arguments, *words)
    assert not out.exists() or not list(out.iterdir())


def test_missing_pictures_are_named(few, tmp_path, capsys):
    for command in ("invert", "features"):
        options = few if command == "invert" else []
        fails(capsys, [command, str(tmp_path / "no.jpg"), *options], "no.jpg", "does not exist")
        fails(capsys, [command], "IMAGE is missing")
