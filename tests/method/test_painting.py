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
from splice.method import objective, painting
from splice.method.addresses import find_addresses
from splice.method.appearances import Appearance
from splice.method.detail import detail_of, without_detail
from splice.method.fine_tokens import find_fine_tokens
from splice.method.gamut import gamut_of, gamut_term
from splice.method.looks import Look
from splice.method.noise import draw_noise
from splice.method.palette import palette_term
from splice.method.settings import PAINTING_TERMS, Settings
from splice.method.slopes import applied, with_grain
from splice.method.tones import find_parts, tone_maps
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
    """Its last layer paints something else than the grey that it starts from."""
    weight = transfer.learner.network.colours.weight
    torch.nn.init.normal_(weight, 0.0, 0.3, tiny.generator(5))
    return transfer


# Where it starts.


def test_the_toned_picture_is_shown_while_the_generator_only_learns(vit):
    transfer = make(vit, tiny.settings(steps=8))
    parts = find_parts(transfer.method.semantics, transfer.settings.tones, 0)
    maps = tone_maps(
        STRUCTURE[None],
        [Appearance(APPEARANCE[None])],
        transfer.method.semantics,
        parts,
        strongest=3.0,
    )
    toned = applied(maps, STRUCTURE[None])[0].clamp(0, 1)
    assert (toned - STRUCTURE).abs().mean() > 0.05
    torch.testing.assert_close(transfer.output(), toned)
    for step in transfer.steps():
        assert torch.equal(transfer.picture(), transfer.output())
        assert (step.losses.keys() == {"identity", "total"}) == (step.step <= 2)
        assert torch.equal(transfer.picture(), toned) == (step.step < 2)


def test_without_steps_the_toned_picture_is_the_output(vit):
    transfer = make(vit, tiny.settings(steps=0))
    assert list(transfer.steps()) == []
    assert torch.equal(transfer.output(), transfer.method.first(0, STRUCTURE[None])[0])


def test_the_generator_is_given_addresses_detail_noise_and_colours(vit):
    method = make(vit).method
    look = Appearance(APPEARANCE[None])
    fine = find_fine_tokens(vit, STRUCTURE[None], [look], method.settings.meaning)
    ours, (theirs,) = find_addresses(STRUCTURE[None], [look], method.semantics, fine)
    # Radii of 1.5, 4, 10 and 24 of 256 pixels, in pictures of 56 and 50.
    detail = detail_of(STRUCTURE[None], (1, 1, 2, 5), 4e-3, ours)
    toned = applied(method.tones, STRUCTURE[None]).clamp(0, 1)
    colours = without_detail(toned, method.semantics.structure_grid)
    noise = draw_noise((56, 66), tiny.generator(method.settings.seed), torch.device("cpu"))
    assert torch.equal(method.ground.inputs, torch.cat([ours, detail, noise, colours], 1))
    lesson = method.ground.lesson
    assert torch.equal(lesson.picture, APPEARANCE[None])
    assert torch.equal(lesson.addresses, theirs)
    assert torch.equal(
        lesson.colours, without_detail(APPEARANCE[None], method.semantics.patches[0].grid)
    )
    assert torch.equal(lesson.detail, detail_of(APPEARANCE[None], (1, 1, 2, 5), 4e-3, theirs))
    assert torch.equal(lesson.foreign, detail)


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
    output = network(ground.inputs)
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
        # The lesson and the size are drawn before the look.
        twin.random.set_state(state)
        twin.method.ground.lesson.draw(twin.random)
        torch.rand((), generator=twin.random)
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
            whole = torch.equal(inputs[0], method.ground.inputs)
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


# How it looks.


def test_the_output_is_seen_after_the_lesson(vit):
    method = make(vit, tiny.settings(steps=10, seen={"short_side": 84})).method
    assert method.alone == 2
    assert [method.kind(step) for step in range(10)] == ["lesson"] * 2 + ["seen"] * 8
    assert {method.draw().short_side for _ in range(20)} <= {56, 70, 84, 98}


def test_the_output_is_painted_at_changing_sizes_to_be_looked_at(vit):
    transfer, sizes = stirred(make(vit)), []

    def paint(inputs: list[Tensor]) -> list[Tensor]:
        sizes.append(inputs[0].shape[-2:])
        return transfer.learner.paint(inputs, torch.float32)

    for _ in range(30):
        transfer.method.losses(5, paint)
    heights = [height for height, _ in sizes[1::2]]
    assert 42 <= min(heights) < 46 and 52 < max(heights) <= 56
    assert all(abs(width / height - 66 / 56) < 0.03 for height, width in sizes[1::2])


def test_looks_are_drawn_with_equal_chances(vit):
    method = make(vit).method
    drawn = [method.draw() for _ in range(600)]
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
    # The lesson in all steps, and the output in all but the first.
    assert painted == [1] * 11
    assert with_gradient == [0] + [1, 0] * 5
    # Nothing in the first step. Twelve looks when the first is drawn; once what both pictures show:
    # the structure image, the appearance image, that at the other's size; then its patches at each
    # size of looks.
    sizes = len({look.short_side for look in transfer.method.looks})
    assert sizes > 1
    assert without == [0] + [1] * (15 + sizes) + [0] * 5


def test_another_precision_has_its_own_features_but_the_same_ground(vit):
    transfer = make(vit, tiny.settings(precision="bf16"))
    method = transfer.method
    ground, wanted, look = method.ground, method.wanted, method.draw()
    method.use(vit)
    assert method.ground is ground
    assert method.draw().similarity is not look.similarity
    exact = make(vit).method.wanted
    for block, token in exact.cls.items():
        assert torch.equal(method.wanted.cls[block], token)
        assert not torch.equal(wanted.cls[block], token)


# Its size.


@torch.no_grad()
def test_a_small_painting_is_delivered_at_the_photograph_s_size_with_its_grain(vit):
    transfer = stirred(make(vit, tiny.settings(painted=32, steps=1)))
    transfer.learner.average = [w.clone() for w in transfer.learner.weights.values()]
    with torch.enable_grad():
        list(transfer.steps())
    photograph = STRUCTURE[None]
    small = F.interpolate(
        photograph, size=transfer.structure.shape[-2:], mode="bicubic", antialias=True
    ).clamp(0, 1)
    torch.testing.assert_close(transfer.structure, small)
    picture = transfer.picture()[None]
    assert picture.shape[-2] == 32
    expected = with_grain(picture, transfer.structure, photograph)
    assert torch.equal(transfer.output(), expected[0])


def test_a_network_of_zeros_paints_the_toned_picture_without_its_detail(vit):
    transfer = make(vit, tiny.settings(steps=1, painted=32))
    transfer.step = 1
    painted = transfer.picture()
    colours = transfer.method.ground.inputs[:, -3:]
    expected = 1 / (1 + torch.exp(-colours.double()))
    torch.testing.assert_close(painted.double(), expected[0], atol=1e-5, rtol=0)
    assert expected.std() > 0.01


def test_a_photograph_smaller_than_the_painting_is_not_enlarged(vit):
    transfer = make(vit, tiny.settings(painted=512))
    assert torch.equal(transfer.structure, STRUCTURE[None])
    assert torch.equal(transfer.output(), transfer.picture())
