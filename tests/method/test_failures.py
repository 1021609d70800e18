"""Outcomes of steps, looked at at once or a few steps later."""

import pytest
import tiny
import torch

from splice.method.failures import LATE, FailedSteps, Outcome
from splice.method.transfer import Transfer

pytestmark = pytest.mark.robustness
CPU = torch.device("cpu")
PAIR = tiny.picture(56, 66, 1), tiny.picture(60, 50, 2)


def outcome(finite: bool) -> Outcome:
    return Outcome.of(torch.tensor(finite))


def ends_with_failures(outcomes: list[bool]) -> int:
    return len(outcomes) - max((i + 1 for i, good in enumerate(outcomes) if good), default=0)


@pytest.mark.parametrize("late", [0, 1, 4])
def test_failed_steps_are_counted_as_late_as_is_said(late):
    steps = (torch.rand(200, generator=tiny.generator()) < 0.4).tolist()
    failed = FailedSteps(CPU)
    failed.late = late
    counts = []
    for done, good in enumerate(steps, 1):
        failed.add(outcome(good))
        counts.append(failed.in_a_row)
        assert failed.in_a_row == ends_with_failures(steps[: max(0, done - late)])
    assert max(counts) >= 4
    failed.read()
    assert failed.in_a_row == ends_with_failures(steps)


def test_a_gpu_is_looked_at_later_and_a_cpu_at_once():
    assert FailedSteps(CPU).late == 0
    assert FailedSteps(torch.device("cuda")).late == LATE > 0


def unwaiting(settings) -> Transfer:
    """A run as on a GPU, where the host does not look at a step before the next."""
    transfer = Transfer(*PAIR, settings, tiny.frozen())
    transfer.learner.waits, transfer.failed.late = False, LATE
    return transfer


@pytest.mark.slow
def test_a_run_that_does_not_wait_paints_the_same_picture():
    settings = tiny.settings(steps=7)
    plain, quick = Transfer(*PAIR, settings, tiny.frozen()), unwaiting(settings)
    for one, other in zip(plain.steps(), quick.steps(), strict=True):
        assert not one.skipped
        assert not other.skipped
        for name, loss in one.losses.items():
            assert torch.equal(loss, other.losses[name])
    assert torch.equal(plain.picture(), quick.picture())
    mine, theirs = plain.state(), quick.state()
    for name, value in mine.items():
        same = torch.equal(value, theirs[name]) if torch.is_tensor(value) else value == theirs[name]
        assert same, name


def test_failures_are_noticed_late_and_teach_nothing():
    transfer = unwaiting(tiny.settings(precision="bf16", steps=16))
    steps = transfer.steps()
    next(steps)
    before = transfer.learner.state()
    hook = transfer.learner.network.colours.register_forward_hook(
        lambda _m, _i, out: out.mul(torch.nan)
    )
    failed = [next(steps) for _ in range(3 + LATE)]
    assert all(step.skipped for step in failed)
    assert [step.note for step in failed[:-1]] == [""] * (2 + LATE)
    hook.remove()
    after = transfer.learner.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert transfer.state()["skipped_in_a_row"] == 3 + LATE
    step = next(steps)
    assert step.precision == "float32"
    assert not step.skipped
    assert bool(torch.isfinite(transfer.picture()).all())
