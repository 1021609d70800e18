"""The published method: its sum against the paper's formula, its schedule, its views."""

from collections.abc import Callable

import pytest
import tiny
import torch
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.patch_grid import resize_to_patches
from splice.method import paper
from splice.method.settings import Settings
from splice.method.transfer import Transfer
from splice.running.presets import load_preset

STRUCTURE, APPEARANCE = tiny.picture(56, 66, 1), tiny.picture(60, 50, 2)


def preset(**changes) -> Settings:
    return load_preset("paper", {"seen.short_side": 56, **changes})


def make(vit: FrozenViT, settings: Settings, pair=(STRUCTURE, APPEARANCE)) -> Transfer:
    return Transfer(*pair, settings, vit)


def formula(vit: FrozenViT, network) -> Callable[[Tensor, Tensor], Tensor]:
    """L = L_app + 0.1 L_structure + 0.1 L_id (Splice, eq. 2-5), every loss on features of its own."""
    last = vit.blocks

    def seen(image: Tensor) -> Tensor:
        return resize_to_patches(image, vit.patch, 56, 480)

    def cls(image: Tensor) -> Tensor:
        return vit(seen(image), cls=[last], short_side=None).cls[last]

    def keys(image: Tensor) -> Tensor:
        return vit(seen(image), keys=[last], short_side=None).keys[last]

    def similarity(image: Tensor) -> Tensor:
        unit = keys(image)[0] / keys(image)[0].norm(dim=-1, keepdim=True)
        return unit @ unit.T

    def total(structure: Tensor, appearance: Tensor) -> Tensor:
        output, reconstruction = network(structure), network(appearance)
        l_app = ((cls(appearance) - cls(output)) ** 2).mean()
        l_structure = ((similarity(structure) - similarity(output)) ** 2).mean()
        l_id = ((keys(appearance) - keys(reconstruction)) ** 2).mean()
        return l_app + 0.1 * l_structure + 0.1 * l_id

    return total


def test_the_papers_preset_is_the_papers_formula(vit):
    transfer, twin = make(vit, preset()), make(vit, preset())
    expected_of = formula(vit, twin.learner.network)
    for step in (0, 1, 74, 75, 150):
        transfer.step = step
        total = transfer.losses()["total"]
        structure, appearance = (
            twin.method.draw(role).image for role in ("structure", "appearance")
        )
        expected = expected_of(structure, appearance)
        if step % 75 == 0:  # the entire pair as well, without other colours
            expected = expected + expected_of(STRUCTURE[None], APPEARANCE[None])
        assert total.item() == pytest.approx(expected.item(), rel=5e-7, abs=0)
        gradients = []
        for loss, learner in ((total, transfer.learner), (expected, twin.learner)):
            learner.network.zero_grad()
            loss.backward()
            gradients.append(learner.network.colours.weight.grad)
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-9)


def test_the_papers_preset_learns_as_the_paper_does(vit):
    for step in (0, 1000, 1999):
        transfer = make(vit, preset())
        transfer.step = step
        before = [weight.clone() for weight in transfer.learner.network.parameters()]
        assert next(transfer.steps()).precision == "float32"
        # The first step of Adam goes as far as the step size, whatever the gradient (unless tiny).
        now = transfer.learner.network.parameters()
        moves = [float((a - b).detach().abs().max()) for a, b in zip(now, before, strict=True)]
        assert max(moves) == pytest.approx(0.002, rel=1e-3)
    for average, weight in zip(
        transfer.learner.average, transfer.learner.network.parameters(), strict=True
    ):
        assert torch.equal(average, weight)
    assert transfer.settings.steps == 2000
    assert transfer.learner.network.inputs == 3


def test_the_output_is_learnt_at_its_own_size(vit):
    """Whatever the default method would paint, and nothing is added to it."""
    transfer = make(vit, preset(painted=32))
    assert transfer.structure.shape[1:] == STRUCTURE.shape
    with torch.no_grad():
        expected = transfer.learner.network(STRUCTURE[None])[0]
    torch.testing.assert_close(transfer.output(), expected)


def test_views_are_square_and_only_the_structure_images_may_change_colours(vit, monkeypatch):
    monkeypatch.setattr("splice.method.views.JITTER", 1.0)
    transfer = make(vit, preset())
    for role, image in (("structure", STRUCTURE), ("appearance", APPEARANCE)):
        colours = {tuple(colour) for colour in image.flatten(1).T.tolist()}
        for _ in range(5):
            view = transfer.method.draw(role).image[0]
            height, width = view.shape[1:]
            assert height == width >= min(50, round(0.95 * image.shape[1]) - 1)
            kept = {tuple(colour) for colour in view.flatten(1).T.tolist()} <= colours
            assert kept == (role == "appearance")


def passes(transfer: Transfer) -> tuple[list[int], list[int], list[int]]:
    """Sizes of the batches through the generator, and the ViT with and without gradient, by step."""
    painted: list[int] = []
    with_gradient: list[int] = []
    without: list[int] = []

    def see(_module, inputs, _output) -> None:
        (with_gradient if inputs[0].requires_grad else without).append(len(inputs[0]))

    hooks = [
        transfer.learner.network.register_forward_hook(lambda _m, x, _o: painted.append(len(x[0]))),
        transfer.full_vit.embed.register_forward_hook(see),
    ]
    for _ in transfer.steps():
        painted.append(0)
        with_gradient.append(0)
        without.append(0)
    for hook in hooks:
        hook.remove()
    return painted, with_gradient, without


def test_two_views_of_one_size_are_one_pass(vit, monkeypatch):
    monkeypatch.setattr("splice.method.views.CROP", 1.0)
    monkeypatch.setattr(paper, "ENTIRE_EVERY", 3)
    pair = tiny.picture(56, 56, 1), tiny.picture(56, 56, 2)
    painted, with_gradient, without = passes(make(vit, tiny.paper(steps=4), pair))
    # The entire pair counts in the first and the fourth step, and is described once.
    assert painted == with_gradient == [2, 2, 0, 2, 0, 2, 0, 2, 2, 0]
    assert without == [1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0]


def test_views_of_other_sizes_are_still_seen_in_one_pass(vit):
    transfer = make(vit, tiny.paper(steps=4))
    transfer.step = 1
    painted, with_gradient, _ = passes(transfer)
    assert sum(painted) == 6
    assert len(painted) > 6, "of other sizes"
    assert with_gradient == [2, 0] * 3


@pytest.mark.parametrize("name", ["appearance", "structure", "identity"])
def test_any_term_can_stand_alone_or_be_left_out(vit, name):
    terms = {"appearance": 1.0, "structure": 0.1, "identity": 0.1}
    everything = make(vit, tiny.paper(objective=terms)).losses()
    assert everything.keys() == {*terms, "total"}
    for weights in (terms | {name: 0.0}, dict.fromkeys(terms, 0.0) | {name: 2 * terms[name]}):
        found = make(vit, tiny.paper(objective=weights)).losses()
        kept = {term: weight for term, weight in weights.items() if weight > 0}
        assert found.keys() == {*kept, "total"}
        for term in kept:
            factor = weights[term] / terms[term]
            expected = factor * everything[term].item()
            assert found[term].item() == pytest.approx(expected, rel=1e-5)


def test_without_identity_the_appearance_image_is_not_painted(vit):
    settings = tiny.paper(steps=2, objective={"identity": 0.0})
    painted, with_gradient, _ = passes(make(vit, settings))
    assert painted == with_gradient == [1, 1, 0, 1, 0]


def test_without_any_term_the_generator_is_left_alone(vit):
    weights = {"appearance": 0.0, "structure": 0.0, "identity": 0.0}
    transfer = make(vit, tiny.paper(objective=weights, steps=2))
    before = transfer.learner.state()
    for step in transfer.steps():
        assert step.losses.keys() == {"total"}
        assert step.losses["total"].item() == 0
        assert not step.skipped
    after = transfer.learner.state()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_what_a_step_does_in_words(vit):
    method = make(vit, preset()).method
    assert [method.kind(step) for step in (0, 1, 75)] == [
        "views and the entire pair",
        "views",
        "views and the entire pair",
    ]
