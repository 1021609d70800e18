"""Checkpoints: what goes in comes out, and damage and full disks are told."""

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import small_checkpoint
import torch
from hypothesis import given
from hypothesis import strategies as st

from splice.errors import InputError, RunError
from splice.running.checkpoint import from_bytes, load_checkpoint, save_checkpoint, to_bytes

pytestmark = pytest.mark.robustness
ROOT = Path(__file__).parents[2]


def test_what_goes_in_comes_out(tmp_path):
    checkpoint = small_checkpoint.make()
    save_checkpoint(tmp_path / "c", checkpoint)
    loaded = load_checkpoint(tmp_path / "c")
    small_checkpoint.assert_same(checkpoint, loaded)
    # The same memory layout as well: other orders of summation would change last bits.
    assert loaded.state["channels last"].is_contiguous(memory_format=torch.channels_last)
    assert loaded.state["weight"].is_contiguous()
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_restored_generator_goes_on_where_it_was(tmp_path):
    generator = torch.Generator().manual_seed(5)
    torch.randn(11, generator=generator)
    checkpoint = replace(small_checkpoint.make(), state={"g": generator.get_state()})
    expected = torch.randn(9, generator=generator)
    other = torch.Generator()
    other.set_state(from_bytes(to_bytes(checkpoint)).state["g"])
    assert torch.equal(torch.randn(9, generator=other), expected)


@given(data=st.data())
def test_any_damage_is_recognised(data):
    """A flipped bit or a cut anywhere: either an error, or nothing that counts has changed."""
    whole = to_bytes(small_checkpoint.make())
    damaged = bytearray(whole)
    if data.draw(st.booleans(), label="cut"):
        damaged = damaged[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        loaded = from_bytes(bytes(damaged))
    except ValueError as error:
        assert "damaged" in str(error) or "not a checkpoint" in str(error)
    else:
        small_checkpoint.assert_same(small_checkpoint.make(), loaded)


class _Malicious:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return (Path.touch, (self.proof,))


@pytest.mark.parametrize("kind", ["text", "empty", "pickle", "torch", "weights", "zeros", "huge"])
def test_foreign_files_are_refused_and_run_nothing(tmp_path, kind):
    file, proof = tmp_path / "checkpoint.safetensors", tmp_path / "proof"
    if kind == "text":
        file.write_text("hello, this is a text file that is longer than eight bytes")
    elif kind == "empty":
        file.touch()
    elif kind == "pickle":
        file.write_bytes(pickle.dumps(_Malicious(proof)))
    elif kind == "torch":
        torch.save(_Malicious(proof), file)
    elif kind == "weights":
        safetensors.torch.save_file({"weight": torch.zeros(3)}, file)
    elif kind == "zeros":
        file.write_bytes(bytes(1000))
    else:  # a header that claims to be larger than any file
        file.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(InputError) as caught:
        load_checkpoint(file)
    assert str(file) in str(caught.value)
    assert "delete it" in str(caught.value)
    assert not proof.exists()


def test_a_checkpoint_of_another_format_is_refused(tmp_path):
    import hashlib

    tensors = {"state/x": torch.zeros(2)}
    text = json.dumps({"format": 99, "splice": "9.9"})
    digest = hashlib.sha256(text.encode())
    digest.update(b"\0state/x\0torch.float32\0(2,)\0" + bytes(8))
    safetensors.torch.save_file(
        tensors, tmp_path / "c", {"splice": text, "sha256": digest.hexdigest()}
    )
    with pytest.raises(InputError, match=r"Splice 9\.9"):
        load_checkpoint(tmp_path / "c")


def test_a_missing_checkpoint():
    with pytest.raises(InputError, match="no checkpoint"):
        load_checkpoint(Path("nowhere") / "c")


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch
from splice.pictures import atomic
from splice.running.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def after(function):
    def call(*arguments):
        result = function(*arguments)
        die()
    return call

def half(descriptor, mode):
    class Half:
        def __enter__(self):
            return self
        def __exit__(self, *failure):
            pass
        def write(self, data):
            os.write(descriptor, data[: len(data) // 2])
            die()
    return Half()

file = Path(sys.argv[1])
def save(step):
    save_checkpoint(file, Checkpoint(step, {}, {}, {"value": torch.full((30_000,), float(step))}))

moments = {
    "before opening": ("open", die),
    "after opening": ("open", after(os.open)),
    "half written": ("fdopen", half),
    "before the flush": ("fsync", die),
    "after the flush": ("fsync", after(os.fsync)),
}
for step, (moment, (name, replacement)) in enumerate(moments.items(), 1):
    save(step)
    child = os.fork()
    if child == 0:
        setattr(os, name, replacement)
        save(-1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    left = len(list(file.parent.glob(".splice-*.tmp")))
    print(moment, os.WTERMSIG(status), load_checkpoint(file).step, left, sep=",")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_moment_of_the_write_leaves_the_whole_earlier_one(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    arguments = [sys.executable, "-c", _KILLED, str(file), str(ROOT)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert len(rows) == 5
    assert all(number == str(int(signal.SIGKILL)) for _, number, _, _ in rows)
    # Each kill left the checkpoint that was written just before; most left a temporary file.
    assert [step for _, _, step, _ in rows] == ["1", "2", "3", "4", "5"]
    assert [left for _, _, _, left in rows] == ["0", "1", "2", "3", "4"]


_LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch
from splice.running.checkpoint import Checkpoint, save_checkpoint
from splice.errors import RunError
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = Path(sys.argv[1])
save_checkpoint(file, Checkpoint(1, {}, {}, {"value": torch.ones(1000)}))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    save_checkpoint(file, Checkpoint(2, {}, {}, {"value": torch.ones(100_000)}))
except RunError as error:
    print(error)
"""


@pytest.mark.slow
def test_no_space_is_told_and_the_last_checkpoint_survives(tmp_path):
    file = tmp_path / "c"
    arguments = [sys.executable, "-c", _LIMITED, str(file), str(ROOT)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "no space is left" in done.stdout
    assert load_checkpoint(file).step == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        file = disk / "c"
        small = replace(small_checkpoint.make(), step=1)
        save_checkpoint(file, small)
        large = replace(small, step=2, state={"value": torch.zeros(100_000)})
        with pytest.raises(RunError, match="no space is left"):
            save_checkpoint(file, large)
        small_checkpoint.assert_same(small, load_checkpoint(file))
        assert [path.name for path in disk.iterdir()] == ["c"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
