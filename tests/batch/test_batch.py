"""The command `splice batch`, with real processes, real kills, and the real optimisation."""

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import small_batch
import small_run

from splice.batch import Ended, Retried, plan_batch, read_journal, run_local
from splice.commands.cli import main
from splice.pictures.images import read_image
from splice.pictures.pairs import plan_pairs
from splice.running.outputs import CHECKPOINT

pytestmark = pytest.mark.robustness


def _command(small: small_batch.SmallBatch, output: Path, *more: str) -> list[str]:
    start = [*small_run.command("batch"), str(small.pairs), f"--output={output}"]
    return [*start, *small.options, "--checkpoint-every=0", *more]


def _start(*arguments: str) -> subprocess.Popen:
    """A process group of its own, so that all of it can be killed."""
    return subprocess.Popen(
        arguments,
        env=small_run.environment(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _until(condition: Callable[[], object], process: subprocess.Popen) -> None:
    """Wait until something is so, as long as the process is there."""
    begun = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - begun < 300
        time.sleep(0.01)


def _records(output: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in output.glob("*/run.json")}


def _fingerprint(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        path.name: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
    }


@pytest.mark.slow
def test_killed_midway_and_resumed_with_one_pair_damaged(tmp_path):
    """SIGKILL to the whole process group; the damaged pair is told, and stops nobody."""
    small = small_batch.make(tmp_path, "abcd", steps=15)
    small.damage("b")
    output = tmp_path / "out"
    process = _start(*_command(small, output))
    # `a` is finished, `b` has failed, and `c` is midway.
    _until((output / "c" / CHECKPOINT).is_file, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert _records(output)["a"]["finished"] is True
    assert not (output / "d").exists()
    finished = _fingerprint(output / "a")

    done = _start(*_command(small, output, "--resume"))
    said, complained = done.communicate(timeout=300)
    assert done.returncode == 1
    assert said == f"{output}\n"
    assert "3 pairs to do, 1 of them begun, 1 finished before" in complained
    assert "b failed: " in complained
    assert "appearance.jpg" in complained
    assert "2 of 3 pairs finished" in complained
    assert "Traceback" not in complained

    assert _fingerprint(output / "a") == finished
    records = _records(output)
    assert set(records) == {"a", "c", "d"}
    assert all(record["finished"] for record in records.values())
    # `c` went on from its checkpoint; being the same pair, all came to the same picture.
    assert records["c"]["resumed"] == 1
    pictures = {read_image(output / name / "output.png").numpy().tobytes() for name in "acd"}
    assert len(pictures) == 1
    ends = read_journal(output)
    assert {name: end["state"] for name, end in ends.items()} == {
        "a": "finished",
        "b": "failed",
        "c": "finished",
        "d": "finished",
    }
    assert "appearance.jpg" in ends["b"]["reason"]
    assert not list(output.glob("**/*.tmp"))


@pytest.mark.slow
def test_asked_to_end_it_saves_what_is_at_work(tmp_path):
    small = small_batch.make(tmp_path, "ab", steps=100_000)
    output = tmp_path / "out"
    # Checkpoints an hour apart: what is there comes from ending in order.
    process = _start(*_command(small, output, "--workers=2", "--checkpoint-every=3600"))
    assert process.stderr is not None
    _until(lambda: len(list(output.glob("*/.lock"))) == 2, process)
    os.killpg(process.pid, signal.SIGTERM)
    _, complained = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "--resume goes on from here" in complained
    assert {end["state"] for end in read_journal(output).values()} == {"stopped"}
    assert all((output / name / CHECKPOINT).is_file() for name in "ab")
    assert all(record["finished"] is False for record in _records(output).values())


@pytest.mark.slow
def test_a_pair_whose_worker_is_killed_goes_on_in_another(tmp_path):
    small = small_batch.make(tmp_path, "ab", steps=12)
    plan = plan_batch(plan_pairs(small.pairs).pairs, small.settings(), tmp_path / "out")
    checkpoint = tmp_path / "out" / "a" / CHECKPOINT
    events, killed = [], False
    with closing(run_local(plan.tasks, checkpoint_every=0.0)) as running:
        for event in running:
            events.append(event)
            if not killed and checkpoint.is_file():
                (worker,) = _children()
                os.kill(worker, signal.SIGKILL)
                killed = True
    assert killed
    ends = {event.name: event for event in events if isinstance(event, Ended)}
    assert {name: end.state for name, end in ends.items()} == {"a": "finished", "b": "finished"}
    retried = [event for event in events if isinstance(event, Retried)]
    assert [event.name for event in retried] == ["a"]
    assert "SIGKILL" in retried[0].reason
    assert _records(tmp_path / "out")["a"]["resumed"] == 1
    # One worker, one after the other; and none is left behind.
    assert ends["a"].worker == ends["b"].worker
    assert _children() == []


def _children() -> list[int]:
    """The workers of this process; Python's own helper of spawned processes is none."""
    import psutil

    return [
        child.pid
        for child in psutil.Process().children()
        if "spawn_main" in " ".join(child.cmdline())
    ]


def test_the_pairs_are_checked_before_anything_is_written(tmp_path, capsys):
    small = small_batch.make(tmp_path, "abc")
    (small.pairs / "a" / "B" / "appearance.jpg").write_text("no picture")
    (small.pairs / "b" / "A" / "structure.png").unlink()
    output = tmp_path / "out"
    arguments = ["batch", str(small.pairs), f"--output={output}", *small.options]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "2 problems" in error
    assert "appearance.jpg" in error
    assert "holds no pictures" in error
    assert not output.exists()
    # `--plan` shows what would be done, and does nothing.
    assert main([*arguments, "--skip-bad", "--plan"]) == 0
    said = capsys.readouterr()
    assert said.out.split("\t")[0] == "c"
    assert said.out.count("\n") == 1
    assert "1 pair to do" in said.err
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--workers=2", "--pairs-per-device=2"], "not both"),
        (["--workers=2", "--ray=local"], "--workers is for this machine"),
        (["--workers=0"], "should be at least 1"),
        (["--pairing=random"], "states its pairs itself"),
        (["--steps=none"], "--steps cannot be none"),
    ],
)
def test_options_that_cannot_be(tmp_path, capsys, options, complaint):
    small = small_batch.make(tmp_path, "a")
    arguments = ["batch", str(small.pairs), f"--output={tmp_path / 'out'}", *small.options]
    assert main([*arguments, *options]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
