"""The parts of a step, one at a time, and the calls of its networks."""

import tiny
import torch
from small_transfer import CPU, default_transfer, draws_of, published_transfer

from splice.method import painting
from splice.method.transfer import Transfer
from splice.studies.benchmark import stopwatch as watches
from splice.studies.benchmark.stopwatch import PARTS, Stopwatch, recorded_calls, timed_parts


def test_one_part_runs_at_a_time(monkeypatch):
    clock = iter([0, 1, 3, 7, 15])
    monkeypatch.setattr(watches.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch(CPU)
    watch.switch("terms_forward")
    watch.enter("views")
    watch.enter("vit_without_gradient")
    watch.leave()
    watch.switch(None)
    seconds = {part: value for part, value in watch.seconds.items() if value}
    assert seconds == {"terms_forward": 1, "views": 2 + 8, "vit_without_gradient": 4}


def _sequence(transfer: Transfer, step: int, monkeypatch) -> list[str]:
    """The parts of a step in their order, each once for a stretch."""
    order: list[str | None] = []
    switch = Stopwatch.switch
    monkeypatch.setattr(
        Stopwatch, "switch", lambda self, part: order.append(part) or switch(self, part)
    )
    next(transfer.steps())  # what is found once is found now
    order.clear()
    transfer.step = step
    with timed_parts(transfer) as watch:
        next(transfer.steps())
    assert set(watch.seconds) == set(PARTS)
    assert all(value >= 0 for value in watch.seconds.values())
    kept = [part for part, after in zip(order, [*order[1:], None], strict=True) if part != after]
    return [part for part in kept if part is not None]


BACKWARD = ["terms_backward", "vit_backward", "terms_backward", "generator_backward", "optimiser"]


def test_parts_of_a_step_follow_each_other(monkeypatch):
    """Nothing is seen without gradient: what is wanted was found before."""
    order = _sequence(default_transfer(seen={"since": 0}), 1, monkeypatch)
    assert order == [
        # The lesson, then the output.
        *("terms_forward", "generator_forward", "terms_forward", "generator_forward"),
        *("terms_forward", "views", "terms_forward", "vit_forward", "terms_forward"),
        *BACKWARD,
    ]


def test_parts_of_a_step_of_the_published_method_follow_each_other(monkeypatch):
    """Every step has new views, which are seen first; the paintings of both go in one pass."""
    order = _sequence(published_transfer(), 1, monkeypatch)
    forward = order[: order.index("terms_backward")]
    view = ["views", "vit_without_gradient", "views", "terms_forward"]
    # The two pictures' views are of different sizes, so the generator has a pass for each.
    painted = ["generator_forward", "terms_forward"] * 2
    assert forward == ["terms_forward", *view * 2, *painted, "vit_forward", "terms_forward"]
    assert order[len(forward) :] == BACKWARD


def test_watching_leaves_no_trace(monkeypatch):
    transfer, other = default_transfer(), default_transfer()
    _sequence(transfer, 1, monkeypatch)
    next(other.steps())
    next(other.steps())
    for own, weight in zip(
        transfer.learner.network.parameters(), other.learner.network.parameters(), strict=True
    ):
        torch.testing.assert_close(own, weight, rtol=0, atol=0)
    for module in (transfer.learner.network, transfer.method.vit):
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert "draw" not in vars(transfer.method)
    assert "learn" not in vars(transfer.learner)


def test_calls_are_those_with_gradient(monkeypatch):
    monkeypatch.setattr(painting, "SHARES", (1.0, 1.0))
    transfer = default_transfer(seen={"since": 0})
    next(transfer.steps())
    drawn = draws_of(transfer, monkeypatch)
    with recorded_calls(transfer) as calls:
        next(transfer.steps())
    [look] = drawn
    # Codes, four maps of detail, three of noise, and colours: of a piece of the appearance image, and
    # of the picture.
    lesson, output = (call.shape for call in calls.generator)
    height, width = transfer.structure.shape[-2:]
    channels = transfer.method.ground.lesson.addresses.shape[1] + 4 + 3 + 3
    assert output == (1, channels, height, width)
    assert lesson[:2] == (1, channels)
    assert [call.shape for call in calls.vit] == [(1, 3, look.view.height, look.view.width)]
    wanted = calls.vit[0].wanted
    assert wanted["short_side"] == look.short_side
    assert set(wanted["keys"]) == {tiny.BLOCKS}


def test_calls_of_the_published_method_are_those_with_gradient(monkeypatch):
    transfer = published_transfer()
    transfer.step = 1  # without the entire pair
    drawn = draws_of(transfer, monkeypatch)
    with recorded_calls(transfer) as calls:
        next(transfer.steps())
    # A square of each picture through the generator, both at 56 px through the ViT, as one batch.
    assert [call.shape for call in calls.generator] == [tuple(each.image.shape) for each in drawn]
    assert [call.shape for call in calls.vit] == [(2, 3, 56, 56)]
