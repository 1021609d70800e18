"""The loop of one pair: its promises about steps, states, failures and sizes, for both methods."""

import math
from collections.abc import Callable

import pytest
import tiny
import torch
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.precision import precision_of
from splice.errors import InputError, RunError
from splice.method import paper
from splice.method.settings import PAINTING_TERMS, Settings
from splice.method.transfer import Transfer

STRUCTURE, APPEARANCE = tiny.picture(56, 66, 1), tiny.picture(60, 50, 2)
METHODS = [
    pytest.param(tiny.settings, id="painting"),
    pytest.param(tiny.paper, id="paper"),
]


@pytest.fixture(autouse=True)
def entire_pairs(monkeypatch) -> None:
    """In runs of six steps, so that the published method's entire pair counts in two of them."""
    monkeypatch.setattr(paper, "ENTIRE_EVERY", 3)


def make(
    vit: FrozenViT, settings: Settings | None = None, pair=(STRUCTURE, APPEARANCE)
) -> Transfer:
    return Transfer(*pair, settings or tiny.settings(), vit)


def run(transfer: Transfer) -> list:
    return list(transfer.steps())


@pytest.mark.parametrize("settings", METHODS)
def test_records_of_steps(vit, settings):
    transfer = make(vit, settings())
    steps = run(transfer)
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert {step.steps for step in steps} == {6}
    assert {step.precision for step in steps} == {"float32"}
    assert not any(step.skipped for step in steps)
    assert not any(step.note for step in steps)
    assert all(step.seconds > 0 for step in steps)
    assert run(transfer) == []
    terms = {"appearance", "structure", "identity"}
    if settings is tiny.settings:
        terms = set(PAINTING_TERMS)
    for step in steps:
        # In the first quarter of the default's steps there is only the lesson.
        lesson = settings is tiny.settings and step.step == 1
        assert step.losses.keys() == ({"identity", "total"} if lesson else {*terms, "total"})
        parts = [value.item() for name, value in step.losses.items() if name != "total"]
        assert step.losses["total"].item() == pytest.approx(sum(parts), rel=1e-6)
        assert not any(value.requires_grad for value in step.losses.values())


@pytest.mark.parametrize("settings", METHODS)
def test_the_picture_is_the_average_s_and_changes_nothing(vit, settings):
    transfer = make(vit, settings(generator={"average": 0.9}))
    run(transfer)
    before = transfer.state()
    picture = transfer.picture()
    assert picture.shape == STRUCTURE.shape
    assert not picture.requires_grad
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
    after = transfer.state()
    for name, value in before.items():
        assert (
            torch.equal(after[name], value) if isinstance(value, Tensor) else after[name] == value
        )
    network = transfer.learner.network
    rows, weights = STRUCTURE.shape[-2], transfer.learner.weights.values()
    with torch.no_grad():
        live = network(transfer.method.inputs(0, rows))[0]
        for weight, average in zip(weights, transfer.learner.average, strict=True):
            weight.copy_(average)
        expected = network(transfer.method.inputs(0, rows))[0]
    torch.testing.assert_close(picture, expected)
    assert (picture - live).abs().max() > 1e-4


# Sameness.


def bfloat16_here() -> bool:
    return precision_of("auto", torch.device("cpu")) == torch.bfloat16


PRECISIONS = [
    "fp32",
    pytest.param("bf16", marks=pytest.mark.skipif(not bfloat16_here(), reason="no bfloat16 here")),
]


@pytest.mark.slow
@pytest.mark.robustness
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("settings", METHODS)
def test_the_same_seed_gives_the_same_picture(vit, settings, precision):
    pictures = []
    for seed in (3, 3, 4):
        transfer = make(vit, settings(seed=seed, precision=precision, steps=4))
        run(transfer)
        pictures.append(transfer.picture())
    assert torch.equal(pictures[0], pictures[1])
    assert float((pictures[0] - pictures[2]).abs().max()) > 1e-3


@pytest.mark.slow
@pytest.mark.robustness
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("settings", METHODS)
def test_a_restored_run_gives_the_same_picture_to_the_byte(
    vit, settings: Callable[..., Settings], precision
):
    whole = make(vit, settings(precision=precision, steps=4))
    losses = [step.losses for step in whole.steps()]
    for stop in (0, 2):
        first = make(vit, settings(precision=precision, steps=4))
        steps = first.steps()
        for _ in range(stop):
            next(steps)
        state = first.state()
        next(steps)  # what happens later is no part of the state
        second = make(vit, settings(precision=precision, steps=4))
        second.restore(state)
        assert second.step == stop
        for step, expected in zip(second.steps(), losses[stop:], strict=True):
            assert step.losses.keys() == expected.keys()
            assert all(torch.equal(step.losses[name], expected[name]) for name in expected)
        assert torch.equal(second.picture(), whole.picture())


# Steps that fail.


class Poison:
    """Weights that are not finite, put into the generator and taken away again."""

    def __init__(self, transfer: Transfer) -> None:
        self.weight = transfer.learner.network.colours.weight
        self.kept = self.weight.detach().clone()

    @torch.no_grad()
    def put(self) -> None:
        self.weight.fill_(float("nan"))

    @torch.no_grad()
    def take(self) -> None:
        self.weight.copy_(self.kept)


@pytest.mark.slow
@pytest.mark.robustness
def test_three_failed_steps_lead_to_full_precision(vit):
    transfer = make(vit, tiny.settings(precision="bf16", steps=8))
    steps = transfer.steps()
    assert next(steps).precision == "bfloat16"
    poison, before = Poison(transfer), transfer.learner.state()
    poison.put()
    failed = [next(steps) for _ in range(3)]
    assert [step.skipped for step in failed] == [True] * 3
    assert [step.precision for step in failed] == ["bfloat16"] * 3
    assert all(math.isnan(step.losses["total"].item()) for step in failed)
    poison.take()
    after = transfer.learner.state()
    assert all(torch.equal(after[name], before[name]) for name in before)
    saved = transfer.state()
    assert saved["precision"] == "float32"
    rest = list(steps)
    assert [(step.step, step.skipped, step.precision) for step in rest] == [
        (number, False, "float32") for number in (5, 6, 7, 8)
    ]
    assert not torch.equal(transfer.learner.network.colours.weight, poison.kept)
    assert bool(torch.isfinite(transfer.picture()).all())
    # A run that is resumed after that stays in full precision, with the same picture.
    resumed = make(vit, tiny.settings(precision="bf16", steps=8))
    resumed.restore(saved)
    assert {step.precision for step in resumed.steps()} == {"float32"}
    assert torch.equal(resumed.picture(), transfer.picture())


@pytest.mark.robustness
def test_two_failed_steps_are_forgiven(vit):
    transfer = make(vit, tiny.settings(precision="bf16", steps=12))
    steps = transfer.steps()
    next(steps)
    for _ in range(3):
        poison = Poison(transfer)
        poison.put()
        assert next(steps).skipped
        assert next(steps).skipped
        poison.take()
        step = next(steps)
        assert not step.skipped
        assert step.precision == "bfloat16"


def ends(transfer: Transfer) -> None:
    """Ten steps fail, which end the run and teach nothing; from the fourth on they are float32."""
    before = transfer.learner.state()
    done = []
    with pytest.raises(RunError, match="10 steps in a row, up to step 10, had a loss or gradient"):
        for step in transfer.steps():
            done.append(step)
    assert [step.skipped for step in done] == [True] * 9
    assert [step.precision for step in done[3:]] == ["float32"] * 6
    after = transfer.learner.state()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=0, rtol=0, equal_nan=True)


@pytest.mark.robustness
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_ten_failed_steps_end_the_run(vit, precision):
    transfer = make(vit, tiny.settings(steps=50, precision=precision))
    Poison(transfer).put()
    ends(transfer)


@pytest.mark.robustness
def test_a_picture_that_holds_what_no_picture_file_can_hold_ends_the_run(vit):
    broken = STRUCTURE.clone()
    broken[1, 20, 20] = float("nan")
    ends(make(vit, tiny.paper(steps=50, precision="bf16"), pair=(broken, APPEARANCE)))


@pytest.mark.parametrize("settings", METHODS)
def test_float16_on_a_cpu_is_refused(vit, settings):
    with pytest.raises(InputError, match="--precision fp16 needs a CUDA GPU"):
        make(vit, settings(precision="fp16"))


# Pictures of any size and kind.

SIZES = [
    ((16, 16), (20, 16)),
    ((16, 128), (128, 16)),
    ((33, 47), (17, 90)),
    ((8, 200), (200, 8)),
    ((4, 40), (3, 5)),
]


@pytest.mark.robustness
@pytest.mark.parametrize("settings", METHODS)
@pytest.mark.parametrize("sizes", SIZES)
def test_small_and_long_pictures(vit, sizes, settings):
    pair = tuple(tiny.picture(*size, seed) for seed, size in enumerate(sizes))
    transfer = make(vit, settings(steps=2), pair)
    assert not any(step.skipped for step in transfer.steps())
    for painted in (transfer.picture(), transfer.output()):
        assert painted.shape == pair[0].shape
        assert bool(torch.isfinite(painted).all())


@pytest.mark.robustness
def test_a_picture_of_one_row(vit):
    transfer = make(vit, tiny.settings(steps=2), (tiny.picture(1, 40), tiny.picture(3, 1)))
    assert not any(step.skipped for step in transfer.steps())
    assert transfer.output().shape == (3, 1, 40)


@pytest.mark.robustness
@pytest.mark.parametrize("settings", METHODS)
@pytest.mark.parametrize("kind", ["both flat", "one flat", "black", "the same"])
def test_pictures_without_anything_in_them_and_pairs_of_one(vit, kind, settings):
    flat = torch.full((3, 40, 48), 0.0 if kind == "black" else 0.6)
    pair = {"the same": (STRUCTURE, STRUCTURE), "one flat": (STRUCTURE, flat)}.get(
        kind, (flat, flat)
    )
    transfer = make(vit, settings(steps=2), pair)
    assert not any(step.skipped for step in transfer.steps())
    assert bool(torch.isfinite(transfer.output()).all())
