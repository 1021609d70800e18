"""Memory: what fits is chosen, and running out is told with what would fit."""

import sys

import pytest
import small_run
import stand_in
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from splice.errors import RunError
from splice.method.setting_values import MAX_SIZE, MIN_SIZE
from splice.method.settings import Settings
from splice.running import memory
from splice.running.outputs import RunFolder
from splice.running.run import Run

pytestmark = pytest.mark.robustness
CPU = torch.device("cpu")
GB = 1_000_000_000


def _free(monkeypatch, amount: float) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: int(amount))


# Not that of the longest: beyond some size memory is spared.
LEAST = max(memory.needed_memory(MIN_SIZE, long) for long in range(MIN_SIZE, 4001)) / 0.79


@example(height=32, width=2168, free=LEAST)
@given(height=st.integers(32, 4000), width=st.integers(32, 4000), free=st.floats(LEAST, 400 * GB))
def test_the_largest_size_fits_and_a_larger_one_does_not(height, width, free):
    with pytest.MonkeyPatch.context() as patch:
        _free(patch, free)
        size = memory.largest_size(height, width, CPU)
    short, long = min(height, width), max(height, width)
    assert MIN_SIZE <= size <= min(max(short, MIN_SIZE), MAX_SIZE)

    def needed(side: int) -> int:
        return memory.needed_memory(side, round(side * long / short))

    if size > MIN_SIZE:
        assert needed(size - 1) <= free
    if size < min(short, MAX_SIZE):
        assert needed(size + 2) > 0.8 * free


def test_too_little_memory_for_anything(monkeypatch):
    _free(monkeypatch, 0.5 * GB)
    with pytest.raises(RunError, match=r"0\.5 GB of memory are free"):
        memory.largest_size(500, 500, CPU)


def test_what_is_free_is_less_than_what_there_is():
    import psutil

    assert 0 < memory.free_memory(CPU) < psutil.virtual_memory().total


def test_torch_running_out_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    assert memory.is_out_of_memory(caught.value)
    assert memory.is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2) + torch.zeros(3)
    assert not memory.is_out_of_memory(caught.value)
    assert not memory.is_out_of_memory(OSError("out of memory"))


@pytest.fixture
def small(tmp_path, monkeypatch) -> small_run.SmallRun:
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())
    return small_run.make(tmp_path)


def _settings(small: small_run.SmallRun, **changes) -> Settings:
    values = {"steps": 6, "device": "cpu", "backbone": "timm:test_vit"}
    return Settings(**{**values, "weights": str(small.weights), **changes})


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to …")])
def test_running_out_of_memory_names_a_size_that_fits(small, tmp_path, monkeypatch, error):
    _free(monkeypatch, 500 * GB)
    with RunFolder(tmp_path / "out") as folder:
        run = Run(small.files, _settings(small, size=64), folder)

        def fail(step) -> None:
            if step.step == 3:
                raise error

        with pytest.raises(RunError) as caught:
            run.proceed(watch=fail, checkpoint_every=0.0)
    # The estimate thought that it would fit; what has just failed is not offered again.
    assert "64 pixels" in str(caught.value)
    assert "--size 48 would fit" in str(caught.value)
    assert (tmp_path / "out" / "output.png").is_file()


def test_another_error_stays_what_it_is(small, tmp_path):
    with RunFolder(tmp_path / "out") as folder:
        run = Run(small.files, _settings(small, size=64), folder)

        def fail(step) -> None:
            raise RuntimeError("sizes do not match")

        with pytest.raises(RuntimeError, match="sizes do not match"):
            run.proceed(watch=fail)


def test_size_auto_takes_what_fits_and_keeps_it_when_resumed(small, tmp_path, monkeypatch):
    settings = _settings(small, size="auto")
    # Room for a short side of 50 pixels of a picture of 96 x 72.
    room = memory.needed_memory(50, round(50 * 96 / 72))
    monkeypatch.setattr("splice.running.memory.free_memory", lambda device: int(room / 0.8) + 200)
    with RunFolder(tmp_path / "out") as folder:
        run = Run(small.files, settings, folder)
        outcome = run.proceed(stop=lambda: 143)
    size = tuple(run.structure.shape)
    assert abs(size[1] - 50) <= 1
    assert not outcome.finished
    monkeypatch.setattr("splice.running.memory.free_memory", lambda device: 500 * GB)
    with RunFolder(tmp_path / "out") as folder:
        run = Run(small.files, settings, folder, resume=True)
        assert tuple(run.structure.shape) == size
        assert run.proceed().finished
    with RunFolder(tmp_path / "new") as folder:  # with room for all, the picture's own size
        run = Run(small.files, settings, folder)
        assert tuple(run.structure.shape) == (3, 72, 96)
