"""Running out of memory: once the run goes on with less, then it says what would fit."""

import json
import sys
from collections.abc import Callable

import pytest
import small_run
import tiny
import torch

from splice.backbones.blocks import FoldedBlock
from splice.backbones.frozen_vit import FrozenViT
from splice.commands import cli
from splice.errors import RunError
from splice.method import learner
from splice.method.generator import UNet
from splice.method.settings import Settings
from splice.method.transfer import Transfer
from splice.running.outputs import RunFolder
from splice.running.run import Run

pytestmark = pytest.mark.robustness
PAIR = tiny.picture(56, 66, 1), tiny.picture(60, 50, 2)
ERRORS = [
    torch.OutOfMemoryError("Allocation on device failed"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    RuntimeError("std::bad_alloc"),
    MemoryError(),
]


class Faulty:
    """A function that raises an error at some of its calls, counted from 1."""

    def __init__(self, function: Callable, error: Exception, at: Callable[[int], bool]) -> None:
        self.function, self.error, self.at, self.calls = function, error, at, 0

    def __get__(self, owner, kind=None):
        return lambda *inputs, **options: self(owner, *inputs, **options)

    def __call__(self, *inputs, **options):
        self.calls += 1
        if self.at(self.calls):
            raise self.error
        return self.function(*inputs, **options)


def undisturbed() -> Transfer:
    transfer = Transfer(*PAIR, tiny.settings(), tiny.frozen())
    notes = [step.note for step in transfer.steps()]
    assert not any(notes)
    assert not transfer.sparing
    return transfer


@pytest.fixture(scope="module")
def expected() -> torch.Tensor:
    return undisturbed().picture()


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_the_generator_runs_out_once_and_the_picture_is_the_same(monkeypatch, expected, error):
    transfer = Transfer(*PAIR, tiny.settings(), tiny.frozen())
    # One picture is painted in the first step, two in each after it.
    forward = Faulty(UNet.forward, error, lambda call: call == 6)
    monkeypatch.setattr(UNet, "forward", forward)
    steps = list(transfer.steps())
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [bool(step.note) for step in steps] == [False] * 3 + [True] + [False] * 2
    assert "memory ran out; the run goes on with less of it" in steps[3].note
    assert not any(step.skipped for step in steps)
    assert transfer.sparing
    assert (transfer.picture() - expected).abs().max() < 1e-4  # in bands from here on
    monkeypatch.undo()
    transfer.sparing = False
    assert torch.equal(transfer.picture(), expected)


@pytest.mark.parametrize("call", [3, 25, 46, 55])
def test_the_vit_runs_out_once_and_the_picture_is_the_same(monkeypatch, expected, call):
    """While meaning is sought, looks are drawn, the output is seen, the appearance is described."""
    finish = Faulty(FoldedBlock.finish, ERRORS[0], lambda c: c == call)
    monkeypatch.setattr(FoldedBlock, "finish", finish)
    vit = tiny.frozen()
    transfer = Transfer(*PAIR, tiny.settings(), vit)
    assert transfer.sparing == (call == 3)
    assert len(list(transfer.steps())) == 6
    assert transfer.sparing
    assert transfer.method.vit.sparing
    assert not vit.sparing, "the caller's model stays as it is"
    transfer.sparing = False
    torch.testing.assert_close(transfer.picture(), expected, rtol=0, atol=1e-4)


class _OutInBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # pyright: ignore[reportIncompatibleMethodOverride]
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):  # pyright: ignore[reportIncompatibleMethodOverride]
        raise ERRORS[1]


def test_the_gradient_runs_out_once_and_the_picture_is_the_same(expected):
    transfer = Transfer(*PAIR, tiny.settings(), tiny.frozen())
    calls = []

    def fail_at_the_third(_network, _inputs, output):
        calls.append(output)
        return _OutInBackward.apply(output) if len(calls) == 3 else output

    handle = transfer.learner.network.register_forward_hook(fail_at_the_third)
    assert len(list(transfer.steps())) == 6
    handle.remove()
    assert transfer.sparing
    transfer.sparing = False
    assert torch.equal(transfer.picture(), expected)


def test_a_picture_that_does_not_fit_is_painted_in_bands(monkeypatch, expected):
    transfer = undisturbed()
    monkeypatch.setattr(UNet, "forward", Faulty(UNet.forward, ERRORS[0], lambda call: True))
    torch.testing.assert_close(transfer.picture(), expected, rtol=0, atol=1e-4)
    assert not transfer.sparing, "steps took what they need before"


def test_the_second_time_is_the_last(monkeypatch):
    transfer = Transfer(*PAIR, tiny.settings(), tiny.frozen())
    forward = Faulty(UNet.forward, ERRORS[0], lambda call: call > 2)
    monkeypatch.setattr(UNet, "forward", forward)
    done = []
    with pytest.raises(torch.OutOfMemoryError):
        done.extend(transfer.steps())
    assert forward.calls == 4
    assert transfer.step == 1


def test_other_errors_are_not_tried_again(monkeypatch):
    transfer = Transfer(*PAIR, tiny.settings(), tiny.frozen())
    forward = Faulty(UNet.forward, RuntimeError("sizes do not match"), lambda call: call == 3)
    monkeypatch.setattr(UNet, "forward", forward)
    with pytest.raises(RuntimeError, match="sizes do not match"):
        list(transfer.steps())
    assert not transfer.sparing


def gradients_of(learner: learner.Learner) -> list[torch.Tensor]:
    return [w.grad for w in learner.network.parameters() if w.grad is not None]


@pytest.mark.slow
def test_spared_passes_take_pictures_one_by_one(monkeypatch):
    """Two views of one size are a batch, until memory runs out; losses and gradients are the same.

    Each step begins with equal weights: sums run in another order, and Adam's first steps, which have
    the size of the step and the sign of the gradient, make much of the least difference.
    """
    monkeypatch.setattr("splice.method.views.CROP", 1.0)
    pair = tiny.picture(56, 56, 1), tiny.picture(56, 60, 2)
    transfers = [Transfer(*pair, tiny.paper(steps=4), tiny.frozen()) for _ in range(2)]
    transfers[1].spare_memory()
    batches: list[list[int]] = [[], []]
    for transfer, sizes in zip(transfers, batches, strict=True):
        transfer.learner.network.register_forward_hook(
            lambda _network, inputs, _output, sizes=sizes: sizes.append(len(inputs[0]))
        )
    painters = [transfer.learner for transfer in transfers]
    for steps in zip(*(transfer.steps() for transfer in transfers), strict=True):
        one, other = (float(step.losses["total"]) for step in steps)
        ours, theirs = (
            torch.cat([gradient.flatten() for gradient in gradients_of(learner)])
            for learner in painters
        )
        assert one == pytest.approx(other, rel=1e-5 if transfers[0].step == 1 else 1e-4)
        assert (ours - theirs).norm() < 0.02 * ours.norm(), "a view left out is much more"
        painters[1].restore(painters[0].state())
    assert max(batches[0]) == 2
    assert set(batches[1]) == {1}


# The whole run.


@pytest.fixture
def small(tmp_path) -> small_run.SmallRun:
    return small_run.make(tmp_path)


def fail_from(monkeypatch, first: int, last: float = float("inf")) -> None:
    """The generator runs out of memory from one of its calls that learn up to another."""
    paint = learner.Learner.paint
    calls = []

    def faulty(self, inputs, dtype):
        if torch.is_grad_enabled():
            calls.append(1)
            if first <= len(calls) <= last:
                raise ERRORS[1]
        return paint(self, inputs, dtype)

    monkeypatch.setattr(learner.Learner, "paint", faulty)


@pytest.mark.slow
def test_a_run_that_ran_out_once_finishes_and_says_so(small, tmp_path, monkeypatch, capsys):
    fail_from(monkeypatch, 3, 3)
    out = tmp_path / "out"
    status = cli.main(["transfer", *small.arguments, "--steps=5", f"--output={out}"])
    assert status == 0
    record = json.loads((out / "run.json").read_text())
    assert record["finished"]
    assert record["memory_spared"]
    told = capsys.readouterr().err
    assert told.count("memory ran out; the run goes on with less of it") == 1


def test_a_run_that_ran_out_twice_names_a_size_in_one_sentence(
    small, tmp_path, monkeypatch, capsys
):
    fail_from(monkeypatch, 3)
    out = tmp_path / "out"
    status = cli.main(["transfer", *small.arguments, "--steps=5", f"--output={out}"])
    assert status == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "there is not enough memory on cpu for a short side of 64 pixels" in last
    assert last.endswith("--size 48 would fit.")
    assert "Traceback" not in last
    assert (out / "output.png").is_file(), "the picture so far"


def test_running_out_while_preparing_is_told_as_well(small, tmp_path, monkeypatch):
    monkeypatch.setattr(
        FrozenViT, "forward", Faulty(FrozenViT.forward, ERRORS[3], lambda call: True)
    )
    values = {"steps": 6, "device": "cpu", "backbone": "timm:test_vit", "size": 64}
    chosen = Settings(**values, weights=str(small.weights))
    with RunFolder(tmp_path / "out") as folder, pytest.raises(RunError, match="--size 48 would"):
        Run(small.files, chosen, folder)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
def test_the_limit_of_a_container_counts(tmp_path):
    from splice.running.memory import left_to_container

    assert left_to_container(tmp_path) == float("inf")
    second, first = tmp_path / "second", tmp_path / "first"
    for folder, most, used, cache in (
        (second, "memory.max", "memory.current", "inactive_file"),
        (first / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        folder.mkdir(parents=True)
        (folder / most).write_text("8000\n")
        (folder / used).write_text("5000\n")
        (folder / "memory.stat").write_text(f"anon 100\n{cache} 700\n")
    assert left_to_container(first) == left_to_container(second) == 3700
    (second / "memory.max").write_text("max\n")
    assert left_to_container(second) == float("inf")
