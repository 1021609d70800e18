"""The command line's mistakes and failures: one sentence each, and an exit status."""

import importlib.util
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import small_run
from PIL import Image

from splice.commands.cli import run_command
from splice.errors import InputError, RunError
from splice.running.signals import Stopped

RUN_SPLICE = str(small_run.ROOT / "run_splice.py")


def _call(*arguments: str, cwd: Path, program: str = RUN_SPLICE) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, program, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=small_run.environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )


def _one_sentence(done: subprocess.CompletedProcess, *words: str) -> None:
    """Exit status 2, nothing on the standard output, one line that names what is wrong."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("splice: error: ")
    assert lines[0].endswith(".")
    for word in words:
        assert word in lines[0], lines[0]


BAD_PICTURES = {
    "missing": ["does not exist"],
    "folder": ["is a folder"],
    "text": ["not a picture"],
    "empty": ["is empty"],
    "tiny": ["1 x 1", "at least 16"],
    "pipe": ["named pipe"],
    "loop": ["circle"],
}


def _bad_picture(kind: str, path: Path, good: Path) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("This is a text file that somebody has named .jpg.\n" * 9)
    elif kind == "empty":
        path.touch()
    elif kind == "tiny":
        Image.new("RGB", (1, 1)).save(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path.with_name("other"))
        path.with_name("other").symlink_to(path)
    elif kind == "truncated":
        path.write_bytes(good.read_bytes()[:-200])


@pytest.mark.parametrize("place", [0, 1], ids=["structure", "appearance"])
@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_bad_pictures(small, tmp_path, kind, place):
    bad = tmp_path / "bad.jpg"
    _bad_picture(kind, bad, small.appearance)
    pictures = [small.structure, small.appearance]
    pictures[place] = bad
    done = _call(*map(str, pictures), *small.options, cwd=tmp_path)
    _one_sentence(done, "bad.jpg", *BAD_PICTURES[kind])
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_a_truncated_picture(small, tmp_path):
    bad = tmp_path / "bad.jpg"
    _bad_picture("truncated", bad, small.appearance)
    done = _call(str(small.structure), str(bad), *small.options, cwd=tmp_path)
    _one_sentence(done, "bad.jpg", "damaged or incomplete")
    assert list((tmp_path / "outputs").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "-5"], ["--steps", "-5", "0"]),
        (["--steps"], ["--steps", "value"]),
        (["--steps", "ten"], ["--steps", "ten", "whole number"]),
        (["--preset", "fancy"], ["fancy", "default, paper, quick"]),
        (["--preset", "hd"], ["no preset hd", "default, paper, quick", "YAML"]),
        (["--preset", "none.yaml"], ["none.yaml", "does not exist"]),
        (["--backbone", "dino_vitb9"], ["dino_vitb9", "dino_vitb8"]),
        (["--sise", "64"], ["--sise", "--size", "--help"]),
        (["--size", "3"], ["--size", "3", "32 to 2160"]),
        (["--seed", "-1"], ["--seed", "-1", "0"]),
        (["--device", "gpu"], ["--device", "gpu", "cuda"]),
        (["--precision", "double"], ["--precision", "double", "fp32"]),
        (["--painted", "8"], ["--painted", "8", "32"]),
        (["--objective.nearest", "-1"], ["--objective.nearest", "-1", "0"]),
        (["--method", "paper"], ["by default", "should be 0 with method paper"]),
        (["--short-side", "64"], ["--short-side", "--help"]),  # there are two
        (["--views.pool", "3"], ["--views.pool", "--help"]),
        (["--checkpoint-every", "-1"], ["--checkpoint-every", "-1", "0"]),
        (["--checkpoint-every", "often"], ["--checkpoint-every", "often", "number"]),
        (["--output", ""], ["--output"]),
        (["third.jpg"], ["third.jpg", "does not exist"]),
        (["-x"], ["-x"]),
    ],
)
def test_bad_options(small, tmp_path, options, words):
    # A picture's path must not be taken for the value that an option lacks.
    done = _call(str(small.structure), str(small.appearance), *options, cwd=tmp_path)
    _one_sentence(done, *words)
    assert list(tmp_path.iterdir()) == []


def test_one_picture_is_too_few(small, tmp_path):
    _one_sentence(_call(str(small.structure), cwd=tmp_path), "two are needed", "A/")


@pytest.mark.slow
def test_a_file_as_output(small, tmp_path):
    (tmp_path / "file").touch()
    for output in ("file", "file/below"):
        done = _call(*small.arguments, "--output", output, cwd=tmp_path)
        _one_sentence(done, output, "--output")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_an_output_that_nobody_can_write(small, tmp_path):
    _one_sentence(_call(*small.arguments, "--output", "/proc/splice", cwd=tmp_path), "/proc/splice")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_an_output_that_this_user_cannot_write(small, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    done = _call(*small.arguments, "--output", "locked/out", cwd=tmp_path)
    _one_sentence(done, "locked/out", "--output")


@pytest.mark.slow
def test_cuda_where_there_is_none(small, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    done = _call(*small.arguments, "--device", "cuda", cwd=tmp_path)
    _one_sentence(done, "--device cuda", "GPU", "--device cpu")


@pytest.mark.slow
def test_a_file_of_weights_that_is_none(small, tmp_path):
    (tmp_path / "weights.pth").write_text("no weights")
    options = ["--backbone=timm:test_vit", "--weights", "weights.pth"]
    pictures = [str(small.structure), str(small.appearance)]
    _one_sentence(_call(*pictures, *options, cwd=tmp_path), "weights.pth")


def test_a_folder_without_a_pair(tmp_path):
    _one_sentence(_call(str(tmp_path), cwd=tmp_path), str(tmp_path))


def test_a_folder_with_two_pairs(small, tmp_path):
    for pair in ("one", "two"):
        for side, picture in (("A", small.structure), ("B", small.appearance)):
            (tmp_path / pair / side).mkdir(parents=True)
            (tmp_path / pair / side / picture.name).write_bytes(picture.read_bytes())
    _one_sentence(_call(str(tmp_path), cwd=tmp_path), "2 pairs", "splice batch")


class _Failing(types.ModuleType):
    def __init__(self, error: BaseException) -> None:
        super().__init__("splice.commands.transfer")
        self.__spec__ = importlib.util.find_spec(self.__name__)
        self.error = error

    def main(self, arguments: list[str], program: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("no such thing"), 2, "splice: error: no such thing."),
        (RunError("disk full."), 1, "splice: error: disk full."),
        (MemoryError(), 1, "memory"),
        (ZeroDivisionError("division\nby zero"), 1, "ZeroDivisionError: division by zero"),
        (KeyboardInterrupt(), 130, "stopped"),
        (Stopped(signal.SIGTERM), 143, "stopped"),
        (ModuleNotFoundError("No module named 'x'", name="x"), 1, "pip install"),
    ],
)
def test_whatever_fails_is_one_sentence_and_an_exit_status(
    monkeypatch, capsys, error, status, words
):
    monkeypatch.setitem(sys.modules, "splice.commands.transfer", _Failing(error))
    assert run_command("transfer", [], "x") == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert words in captured.err


def test_debug_shows_where(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "splice.commands.transfer", _Failing(InputError("no.")))
    assert run_command("transfer", ["--debug"], "x") == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("splice: error: no.\n")
