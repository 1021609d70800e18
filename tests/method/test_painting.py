"""The default method: where it starts, what it looks at, and its size."""

import tiny
import torch
import torch.nn.functional as F
from tiny_painting import APPEARANCE, STRUCTURE, make, stirred
from torch import Tensor

from splice.method.addresses import find_addresses
from splice.method.appearances import Appearance
from splice.method.detail import detail_of, without_detail
from splice.method.fine_tokens import find_fine_tokens
from splice.method.noise import draw_noise
from splice.method.slopes import applied, with_grain
from splice.method.tones import find_parts, tone_maps
from splice.method.transfer import Transfer

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
