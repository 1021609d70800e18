"""The default method: where it starts, its sum put together anew, what it looks at."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method import objective
from splice.method.gamut import gamut_of, gamut_term
from splice.method.light import Light, applied, detail
from splice.method.looks import Look
from splice.method.palette import palette_term
from splice.method.settings import PAINTING_TERMS, Settings
from splice.method.transfer import Transfer

STRUCTURE, APPEARANCE = tiny.picture(56, 66, 1), tiny.picture(60, 50, 2)
SIDES = {"short_side": 56, "long_side": 1344}
KINDS: dict[str, Any] = {"cls": [1, 2, 3, 4], "tokens": [1, 2, 3], "keys": [4]}


@pytest.fixture(scope="module")
def vit() -> FrozenViT:
    return tiny.frozen()


def make(
    vit: FrozenViT, settings: Settings | None = None, pair=(STRUCTURE, APPEARANCE)
) -> Transfer:
    return Transfer(*pair, settings or tiny.settings(), vit)


def stirred(transfer: Transfer) -> Transfer:
    """Its last layer paints something else than the toned picture that it starts from."""
    weight = transfer.learner.network.colours.weight
    torch.nn.init.normal_(weight, 0.0, 0.3, tiny.generator(5))
    return transfer


# Where it starts.


def test_at_first_the_picture_is_the_toned_one(vit):
    transfer = make(vit, tiny.settings(steps=0))
    toned = transfer.method.ground.toned[0]
    assert list(transfer.steps()) == []
    torch.testing.assert_close(transfer.picture(), toned, atol=1e-5, rtol=0)
    assert (toned - STRUCTURE).abs().mean() > 0.05


def test_the_generator_is_given_colours_codes_noise_and_the_toned_picture(vit):
    transfer = make(vit, tiny.settings(seed=3))
    ground = transfer.method.ground
    assert transfer.learner.network.inputs == 3 + 8 + 4 + 3 == ground.inputs.shape[1]
    colours, codes, noise, logits = ground.inputs.split((3, 8, 4, 3), 1)
    torch.testing.assert_close(colours, 4 * (STRUCTURE[None] - 0.5))
    assert torch.equal(codes, ground.semantics.codes)
    assert noise.std().item() == pytest.approx(0.3, rel=0.05)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    expected = ground.toned.double().clamp(0.02, 0.98)
    expected = torch.log(expected / (1 - expected))
    torch.testing.assert_close(logits.double(), expected, atol=1e-5, rtol=1e-5)
    same, other = (make(vit, tiny.settings(seed=seed)).method.ground.inputs for seed in (3, 4))
    assert torch.equal(same, ground.inputs)
    assert not torch.equal(other[:, 11:15], noise)


def test_no_more_than_16_codes_are_given(vit):
    transfer = make(vit, tiny.settings(meaning={"channels": 20}))
    assert transfer.method.ground.semantics.codes.shape[1] == 20
    assert transfer.learner.network.inputs == 3 + 16 + 4 + 3


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
    theirs = vit(twin.appearance, tokens=[1, 2, 3], **SIDES)
    likeness = ground.semantics.likeness.double()[look.patches]
    counts = ground.counts.double()[look.patches]
    wants = torch.softmax(ground.semantics.likeness.double() / 0.07, 1)[look.patches]
    mass = (counts[:, None] * wants).sum(0)
    ours, others = (
        F.adaptive_avg_pool2d(image.double(), grid)[0].flatten(1).T
        for image, grid in ((part, seen.grid), (twin.appearance, theirs.grid))
    )
    nearest, colour = 0.0, 0.0
    for block in (1, 2, 3):
        a, b = seen.tokens[block][0].double(), theirs.tokens[block][0].double()
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


def finished(transfer: Transfer) -> Tensor:
    """The toned picture, and of what was painted over it the light, and texture where it is free."""
    ground = transfer.method.ground
    change = transfer.learner.network(ground.inputs) - ground.toned.clamp(0.02, 0.98)
    light = applied(Light(transfer.structure).maps(change), transfer.structure)
    texture = ground.freedom * (change - light)
    return (ground.toned + light + texture).clamp(0, 1)


def expected_terms(vit: FrozenViT, twin: Transfer, look: Look) -> dict[str, float]:
    """Each term put together anew from what the twin of a loop paints, in a look."""
    ground = twin.method.ground
    output = finished(twin)
    part = output[:, :, look.view.top :, look.view.left :]
    part = part.flip(-1) if look.view.flip else part
    seen = vit(part, **KINDS, short_side=look.short_side, long_side=1344)
    ours, theirs = (vit(image, **KINDS, **SIDES) for image in (twin.structure, twin.appearance))
    resized = vit(F.interpolate(twin.appearance, size=(56, 66)), keys=[4], **SIDES)
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
    change = (output - ground.toned).double()
    down, right = change[:, :, 1:] - change[:, :, :-1], change[..., 1:] - change[..., :-1]
    return {
        "appearance": 3.0 * sum(cls) / 4,
        "structure": 1.5 * apart / between,
        "nearest": 5.0 * nearest,
        "colour": 2.0 * colour,
        "edges": 1.0 * edges.item(),
        "gamut": 10.0 * gamut_term(output, gamut_of(twin.appearance)).item(),
        "palette": 5.0 * palette_term(output, ground.palettes).item(),
        "change": 3.0 * (down.abs().mean() + right.abs().mean()).item(),
    }


@pytest.mark.slow
@torch.no_grad()
def test_the_sum_of_all_terms_in_the_same_look(vit):
    transfer, twin = stirred(make(vit)), stirred(make(vit))
    mirrored = set()
    for step in (0, 1, 2, 3, 4, 5):
        transfer.step = step
        losses = transfer.losses()
        look = twin.method.draw(step)
        mirrored.add(look.view.flip)
        expected = expected_terms(vit, twin, look)
        assert losses.keys() == {*expected, "total"}
        for name, value in expected.items():
            assert losses[name].item() == pytest.approx(value, rel=2e-4), name
            assert value > 0
        assert losses["total"].item() == pytest.approx(sum(expected.values()), rel=2e-4)
    assert mirrored == {False, True}


def test_terms_are_calibrated(vit, monkeypatch):
    """The structure image left as it is has the whole difference in look, and none in structure."""
    transfer = make(vit)
    monkeypatch.setattr(transfer.method, "finished", lambda painted: painted)
    losses = transfer.method.losses(5, lambda _inputs: [transfer.structure])
    assert losses["structure"].item() < 1e-9
    assert losses["edges"].item() < 1e-2
    looks = [
        transfer.method.losses(5, lambda _inputs: [transfer.structure])["appearance"].item() / 3
        for _ in range(5)
    ]
    assert 0.5 < sum(looks) / 5 < 2


def test_every_term_of_the_method_is_summed(vit):
    assert make(vit).losses().keys() == {*PAINTING_TERMS, "total"}


@pytest.mark.parametrize("name", PAINTING_TERMS)
def test_any_term_can_stand_alone_and_be_left_out(vit, name):
    """What has no weight is told as 0."""
    for alone in (True, False):
        weights = {term: 2.5 * ((term == name) == alone) for term in PAINTING_TERMS}
        transfer = stirred(make(vit, tiny.settings(steps=2, objective=weights)))
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
    transfer = stirred(make(vit, tiny.settings(steps=2, objective=weights)))
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


# How it looks.


@pytest.mark.parametrize(("until", "coarse"), [(0.6, 6), (0.0, 0), (1.0, 10)])
def test_the_output_is_seen_coarsely_first(vit, until, coarse):
    sides = {"short_side": 84, "coarse_short_side": 42, "until": until}
    method = make(vit, tiny.settings(steps=10, seen=sides)).method
    assert method.kind(0) == f"seen at {42 if coarse else 84} px"
    for step in range(10):
        expected = {28, 42} if step < coarse else {70, 84}
        assert {method.draw(step).short_side for _ in range(5)} <= expected
        assert method.kind(step) == f"seen at {min(84, 42 if step < coarse else 84)} px"


def test_looks_are_drawn_with_equal_chances(vit):
    method = make(vit).method
    drawn = [method.draw(0) for _ in range(600)]
    counts = [sum(look is each for look in drawn) for each in {id(x): x for x in drawn}.values()]
    assert len(counts) == 12
    assert min(counts) > 25


def seen(transfer: Transfer) -> tuple[list[int], list[int]]:
    """Sizes of the batches that the transformer sees, with and without gradient, by step."""
    with_gradient: list[int] = []
    without: list[int] = []

    def see(_module, inputs, _output) -> None:
        (with_gradient if inputs[0].requires_grad else without).append(len(inputs[0]))

    hook = transfer.full_vit.embed.register_forward_hook(see)
    for _ in transfer.steps():
        with_gradient.append(0)
        without.append(0)
    hook.remove()
    return with_gradient, without


def test_a_step_is_one_pass_and_nothing_is_described_twice(vit):
    transfer = make(vit)
    painted: list[int] = []
    transfer.learner.network.register_forward_hook(lambda _m, x, _o: painted.append(len(x[0])))
    with_gradient, without = seen(transfer)
    assert painted == [1] * 6
    assert with_gradient == [1, 0] * 6
    # Twelve looks when the first is drawn, of each size, and once what both pictures show: the
    # structure image, the appearance image, that at the other's size, and its tokens.
    assert without == [1] * 16 + [0] * 4 + [1] * 12 + [0] * 2


def test_another_precision_has_its_own_features_but_the_same_ground(vit):
    transfer = make(vit, tiny.settings(precision="bf16"))
    method = transfer.method
    ground, wanted, look = method.ground, method.wanted, method.draw(0)
    method.use(vit)
    assert method.ground is ground
    assert method.draw(0).similarity is not look.similarity
    exact = make(vit).method.wanted
    for block, token in exact.cls.items():
        assert torch.equal(method.wanted.cls[block], token)
        assert not torch.equal(wanted.cls[block], token)


# Its size.


@torch.no_grad()
def test_a_small_painting_is_delivered_at_the_photograph_s_size(vit):
    """Enlarged, and the photograph's own detail added through the maps of tones and of light."""
    transfer = stirred(make(vit, tiny.settings(painted=32, steps=1)))
    transfer.learner.average = [w.clone() for w in transfer.learner.network.parameters()]
    assert transfer.structure.shape == (1, 3, 32, 38)
    assert transfer.picture().shape == (3, 32, 38)
    torch.testing.assert_close(transfer.picture(), finished(transfer)[0])
    output = transfer.output()
    assert output.shape == STRUCTURE.shape
    ground, large = transfer.method.ground, STRUCTURE[None]
    change = transfer.learner.network(ground.inputs) - ground.toned.clamp(0.02, 0.98)
    maps = Light(transfer.structure).maps(change)
    maps = ground.maps + F.interpolate(maps, size=(32, 38), mode="bilinear")
    plain, small = (
        F.interpolate(x, size=(56, 66), mode="bicubic")
        for x in (finished(transfer), transfer.structure)
    )
    added = detail(maps, large - small)
    torch.testing.assert_close(output, (plain + added)[0].clamp(0, 1))
    assert added.abs().mean() > 0.005
    small = F.interpolate(STRUCTURE[None], size=(32, 38), mode="bicubic", antialias=True)
    torch.testing.assert_close(transfer.structure, small.clamp(0, 1))


def test_a_photograph_smaller_than_the_painting_is_not_enlarged(vit):
    transfer = make(vit, tiny.settings(painted=256))
    assert torch.equal(transfer.structure, STRUCTURE[None])
    assert torch.equal(transfer.output(), transfer.picture())
