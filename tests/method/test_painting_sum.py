"""The sum of the default method put together anew, term by term."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from tiny_painting import make, stirred
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method import objective, painting
from splice.method.gamut import gamut_of, gamut_term
from splice.method.looks import Look
from splice.method.noise import draw_noise
from splice.method.palette import palette_term
from splice.method.settings import PAINTING_TERMS
from splice.method.transfer import Transfer

SIDES = {"short_side": 56, "long_side": 1344}
KINDS: dict[str, Any] = {"cls": [1, 2, 3, 4], "tokens": [1, 2, 3], "keys": [4]}


# The sum.


def squares(a: Tensor, b: Tensor) -> float:
    return (a.double() - b.double()).square().mean().item()


def similarity(keys: Tensor) -> Tensor:
    unit = keys[0].double() / keys[0].double().norm(dim=1, keepdim=True)
    return unit @ unit.T


def weighted(values: Iterable[float], weights: Tensor) -> float:
    pairs = zip(values, weights.tolist(), strict=True)
    return sum(v * w for v, w in pairs) / weights.sum().item()


def patches(vit: FrozenViT, twin: Transfer, look: Look, part: Tensor, seen) -> tuple[float, float]:
    """The terms on tokens and on their colours, token by token in float64."""
    ground = twin.method.ground
    theirs = vit(twin.appearance, tokens=[1, 2, 3], short_side=look.short_side, long_side=1344)
    rows, columns = twin.method.semantics.patches[0].grid
    # Each is told of the patch, as large as those of the look, that its middle is in.
    larger = [
        int((row + 0.5) / rows * theirs.grid[0]) * theirs.grid[1]
        + int((column + 0.5) / columns * theirs.grid[1])
        for row, column in product(range(rows), range(columns))
    ]
    likeness = twin.method.semantics.likeness.double()[look.patches]
    counts = ground.counts.double()[look.patches]
    wants = torch.softmax(twin.method.semantics.likeness.double() / 0.07, 1)[look.patches]
    mass = (counts[:, None] * wants).sum(0)
    ours, others = (
        F.adaptive_avg_pool2d(image.double(), grid)[0].flatten(1).T
        for image, grid in ((part, seen.grid), (twin.appearance, theirs.grid))
    )
    others = others[larger]
    nearest, colour = 0.0, 0.0
    for block in (1, 2, 3):
        a, b = seen.tokens[block][0].double(), theirs.tokens[block][0][larger].double()
        mean = b.mean(0)
        costs = torch.empty(len(a), len(b), dtype=torch.float64)
        for i, j in product(range(len(a)), range(len(b))):
            x, y = a[i] - mean, b[j] - mean
            costs[i, j] = 1 - x @ y / (x.norm() * y.norm())
        choice = costs - 0.28 * likeness
        there, back = choice.argmin(1).tolist(), choice.argmin(0).tolist()
        forward = weighted((costs[i, j].item() for i, j in enumerate(there)), counts)
        backward = weighted((costs[i, j].item() for j, i in enumerate(back)), mass)
        nearest += max(forward, backward) / 3
        forward = weighted(
            ((ours[i] - others[j]).abs().mean().item() for i, j in enumerate(there)), counts
        )
        backward = weighted(
            ((ours[i] - others[j]).abs().mean().item() for j, i in enumerate(back)), mass
        )
        colour += (forward + backward) / 6
    return nearest, colour


def expected_terms(vit: FrozenViT, twin: Transfer, look: Look) -> dict[str, float]:
    """Each term put together anew from what the twin of a loop paints, in a look."""
    ground, network = twin.method.ground, twin.learner.network
    given, wanted, _ = ground.lesson.draw(twin.random)
    torch.rand((), generator=twin.random)
    noise = draw_noise(ground.inputs.shape[-2:], twin.random, torch.device("cpu"))
    # After addresses and detail, before the three colours to start from.
    output = network(torch.cat([ground.inputs[:, :-6], noise, ground.inputs[:, -3:]], 1))
    part = output[:, :, look.view.top :, look.view.left :]
    part = part.flip(-1) if look.view.flip else part
    seen = vit(part, **KINDS, short_side=look.short_side, long_side=1344)
    ours, theirs = (vit(image, **KINDS, **SIDES) for image in (twin.structure, twin.appearance))
    sizes = {"size": (56, 66), "mode": "bicubic", "antialias": True}
    stretched = F.interpolate(twin.appearance, **sizes).clamp(0, 1)
    resized = vit(stretched, keys=[4], **SIDES)
    cls = [
        squares(seen.cls[b], theirs.cls[b]) / squares(ours.cls[b], theirs.cls[b])
        for b in (1, 2, 3, 4)
    ]
    photograph = twin.structure[:, :, look.view.top :, look.view.left :]
    photograph = photograph.flip(-1) if look.view.flip else photograph
    shown = vit(photograph, keys=[4], short_side=look.short_side, long_side=1344)
    apart = squares(similarity(seen.keys[4]), similarity(shown.keys[4]))
    between = squares(similarity(ours.keys[4]), similarity(resized.keys[4]))
    nearest, colour = patches(vit, twin, look, part, seen)
    edges = objective.edge_term(output, twin.structure, ground.outlines, 1)
    return {
        "appearance": 3.0 * sum(cls) / 4,
        "structure": 1.5 * apart / between,
        "nearest": 5.0 * nearest,
        "colour": 2.0 * colour,
        "edges": 1.0 * edges.item(),
        "gamut": 10.0 * gamut_term(output, gamut_of(twin.appearance)).item(),
        "palette": 5.0 * palette_term(output, twin.method.palettes).item(),
        "identity": 10.0 * (network(given) - wanted).double().abs().mean().item(),
    }


@pytest.mark.slow
@torch.no_grad()
def test_the_sum_of_all_terms_in_the_same_look(vit, monkeypatch):
    monkeypatch.setattr(painting, "SHARES", (1.0, 1.0))
    transfer, twin = stirred(make(vit)), stirred(make(vit))
    mirrored = set()
    for step in (1, 2, 3, 4, 5, 4, 3, 2):
        transfer.step = step
        state = transfer.random.get_state()
        losses = transfer.losses()
        # The lesson, the size and the noise are drawn before the look.
        twin.random.set_state(state)
        twin.method.ground.lesson.draw(twin.random)
        torch.rand((), generator=twin.random)
        size = twin.method.ground.inputs.shape[-2:]
        draw_noise(size, twin.random, torch.device("cpu"))
        look = twin.method.draw()
        mirrored.add(look.view.flip)
        twin.random.set_state(state)
        expected = expected_terms(vit, twin, look)
        assert losses.keys() == {*expected, "total"}
        for name, value in expected.items():
            assert losses[name].item() == pytest.approx(value, rel=2e-4), name
            assert value > 0
        assert losses["total"].item() == pytest.approx(sum(expected.values()), rel=2e-4)
    assert mirrored == {False, True}


def test_terms_are_calibrated(vit, monkeypatch):
    """The structure image left as it is has the whole difference in look, and none in structure."""
    monkeypatch.setattr(painting, "SHARES", (1.0, 1.0))
    method = make(vit).method

    def losses() -> dict[str, Tensor]:
        def paint(inputs: list[Tensor]) -> list[Tensor]:
            # All but the noise, which is drawn anew.
            whole = torch.equal(inputs[0][:, :-6], method.ground.inputs[:, :-6])
            return [method.structure if whole else torch.zeros(1, 3, *inputs[0].shape[-2:])]

        return method.losses(5, paint)

    assert losses()["structure"].item() < 1e-9
    assert losses()["edges"].item() < 1e-2
    looks = [losses()["appearance"].item() / 3 for _ in range(5)]
    assert 0.5 < sum(looks) / 5 < 2


def test_every_term_of_the_method_is_summed(vit):
    transfer = make(vit)
    transfer.step = 1
    assert transfer.losses().keys() == {*PAINTING_TERMS, "total"}


@pytest.mark.parametrize("name", PAINTING_TERMS)
def test_any_term_can_stand_alone_and_be_left_out(vit, name):
    """What has no weight is told as 0."""
    for alone in (True, False):
        # The output is seen from the first step on.
        weights = {term: 2.5 * ((term == name) == alone) for term in PAINTING_TERMS}
        transfer = stirred(make(vit, tiny.settings(steps=2, seen={"since": 0}, objective=weights)))
        before = [weight.detach().clone() for weight in transfer.learner.network.parameters()]
        for step in transfer.steps():
            for term, weight in weights.items():
                assert (step.losses[term].item() > 0) == (weight > 0)
            if alone:
                assert step.losses["total"].item() == step.losses[name].item()
            assert not step.skipped
        moved = zip(before, transfer.learner.network.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in moved)


def test_without_weights_nothing_moves(vit):
    weights = dict.fromkeys(PAINTING_TERMS, 0.0)
    transfer = stirred(make(vit, tiny.settings(steps=2, seen={"since": 0}, objective=weights)))
    before = transfer.learner.network.colours.weight.detach().clone()
    assert [step.losses["total"].item() for step in transfer.steps()] == [0, 0]
    torch.testing.assert_close(transfer.learner.network.colours.weight, before)


@pytest.mark.slow
def test_a_few_steps_lower_the_sum(vit):
    optimiser = {"learning_rate": 5e-3, "schedule": ((0.0, 1.0),)}
    settings = tiny.settings(steps=20, optimiser=optimiser, generator={"average": 0.0})
    transfer = make(vit, settings)

    @torch.no_grad()
    def level() -> float:
        """In the same looks before and after, which differ more than steps do."""
        transfer.random.manual_seed(7)
        paint = transfer.learner.paint
        looks = [transfer.method.losses(19, lambda x: paint(x, torch.float32)) for _ in range(5)]
        return sum(value.item() for terms in looks for value in terms.values()) / 5

    before = level()
    list(transfer.steps())
    assert level() < 0.8 * before
