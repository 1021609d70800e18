"""The real optimisation, killed, stopped and resumed: the picture is the same, byte for byte."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import small_run
from PIL import Image

from splice.running.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.robustness,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and POSIX signals"),
]
STEPS = 16
PICTURE, CHECKPOINT = "output.png", "checkpoint.safetensors"


class RunServer:
    """Starts runs in a process that has imported everything; see `run_server.py`."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, str(small_run.ROOT / "tests" / "helpers" / "run_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=small_run.environment(),
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, *arguments: str, kill: Callable[[], object] | None = None) -> int:
        """One run; its exit status, or -9 where it was killed: as soon as `kill` returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([["transfer", *arguments], str(self.log)]) + "\n")
        self._process.stdin.flush()
        number = int(self._process.stdout.readline())
        if kill is not None:
            kill()
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(number, signal.SIGKILL)
        return int(self._process.stdout.readline())


def _at(moment: str, folder: Path, delay: float) -> Callable[[], None]:
    """What returns some time after a file was written: a random moment of that phase of a run.

    Args:
        moment: `start`, `checkpoints` (two new ones), `picture`.
        folder: of the run.
        delay: seconds after that.
    """

    def wait() -> None:
        for _ in range({"start": 0, "checkpoints": 2, "picture": 1}[moment]):
            file = folder / (PICTURE if moment == "picture" else CHECKPOINT)
            before, patience = _identity(file), time.monotonic() + 120
            while _identity(file) == before and time.monotonic() < patience:
                time.sleep(0.002)
        time.sleep(delay)

    return wait


def _identity(file: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RunServer]:
    server = RunServer(tmp_path_factory.mktemp("server") / "printed")
    yield server
    server.close()


@pytest.fixture(scope="module")
def whole(server, small, tmp_path_factory) -> bytes:
    """The picture of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    options = [*small.arguments, f"--steps={STEPS}", "--checkpoint-every=0"]
    assert server.run(*options, f"--output={folder}") == 0, server.log.read_text()
    return (folder / PICTURE).read_bytes()


@pytest.mark.slow
def test_the_same_command_twice_gives_the_same_picture(server, small, whole, tmp_path):
    # Without a checkpoint in between as well.
    options = [*small.arguments, f"--steps={STEPS}"]
    assert server.run(*options, f"--output={tmp_path / 'out'}") == 0, server.log.read_text()
    assert (tmp_path / "out" / PICTURE).read_bytes() == whole


@pytest.mark.slow
def test_killed_at_random_moments_the_picture_is_the_same(server, small, whole, tmp_path):
    """A checkpoint is written after every step, so that many kills hit a write."""
    folder = tmp_path / "out"
    draw = random.Random(0)
    options = [*small.arguments, f"--steps={STEPS}", "--checkpoint-every=0", "--resume"]
    options.append(f"--output={folder}")
    phases = ["start", *["checkpoints"] * 5, "start", "checkpoints", "picture", "picture"]
    kills, reached = 0, [0]
    for phase in phases:
        status = server.run(*options, kill=_at(phase, folder, draw.uniform(0, 0.1)))
        if status != -signal.SIGKILL:  # a slow test beside a fast run
            break
        kills += 1
        if (folder / CHECKPOINT).exists():
            reached.append(load_checkpoint(folder / CHECKPOINT).step)
        if (folder / PICTURE).exists():
            with Image.open(folder / PICTURE) as image:
                image.load()
    status = server.run(*options)
    assert status == 0, server.log.read_text()
    assert kills >= 3
    assert reached == sorted(reached)
    assert (folder / PICTURE).read_bytes() == whole
    rows = (folder / "losses.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, STEPS + 1))
    record = json.loads((folder / "run.json").read_text())
    assert record["finished"] is True
    assert record["resumed"] >= 1
    assert not list(folder.glob(".*"))


@pytest.mark.slow
def test_resuming_a_finished_run_changes_nothing(server, small, tmp_path):
    options = [*small.arguments, "--steps=3", "--resume", f"--output={tmp_path / 'out'}"]
    assert server.run(*options) == 0
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert server.run(*options) == 0
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "ctrl-C"]
)
def test_asked_to_stop_it_leaves_a_checkpoint_and_the_picture_so_far(
    server, small, tmp_path, number, status
):
    folder = tmp_path / "out"
    run = subprocess.Popen(
        [*small_run.command(), *small.arguments, "--steps=100000", f"--output={folder}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=small_run.environment(),
        # As of a terminal: a shell's background jobs may have ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert run.stderr is not None
    assert run.stderr.readline().startswith("step 1/100000")
    run.send_signal(number)
    out, error = run.communicate()
    assert run.returncode == status, error
    assert out == f"{folder / PICTURE}\n"
    assert "--resume" in error.splitlines()[-1]
    assert "Traceback" not in error
    record = json.loads((folder / "run.json").read_text())
    done = load_checkpoint(folder / CHECKPOINT).step
    assert record["finished"] is False
    assert record["steps"] == done >= 1
    with Image.open(folder / PICTURE) as image:
        image.load()
    # Only the number of steps may be raised; anything else is refused by its name.
    printed = len(server.log.read_text())
    options = [*small.arguments, f"--output={folder}", "--resume"]
    assert server.run(*options, "--steps=100000", "--seed=1") == 2
    assert "--seed 0, not 1" in server.log.read_text()[printed:]
    assert load_checkpoint(folder / CHECKPOINT).step == done


@pytest.mark.slow
def test_a_killed_run_goes_on_with_more_steps(server, small, tmp_path):
    """Killed in a run of fewer steps and resumed for more: it goes on."""
    folder = tmp_path / "out"
    options = [*small.arguments, "--checkpoint-every=0", f"--output={folder}", "--resume"]
    killed = server.run(*options, "--steps=100000", kill=_at("checkpoints", folder, 0.0))
    assert killed == -signal.SIGKILL
    done = load_checkpoint(folder / CHECKPOINT).step
    assert server.run(*options, f"--steps={done}") == 2  # fewer
    more = ["--steps=100001"]
    assert server.run(*options, *more, kill=_at("checkpoints", folder, 0.0)) == -signal.SIGKILL
    assert load_checkpoint(folder / CHECKPOINT).step > done
    assert load_checkpoint(folder / CHECKPOINT).settings["steps"] == 100001
