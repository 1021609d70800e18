"""The literal loop is the paper's: its generator, its losses, its views and its steps."""

import pytest
import tiny
import torch
from small_transfer import APPEARANCE, STRUCTURE, draws_of
from torch import nn

from splice.backbones.features import self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.method import objective
from splice.method.generator import UNet
from splice.method.layers import InstanceNorm
from splice.method.transfer import Transfer
from splice.running.presets import load_preset
from splice.studies.benchmark.literal import ENTIRE_EVERY, Extractor, LiteralLoop, PaperGenerator


@pytest.fixture
def paper():
    """The paper's loop and its literal transcription, on one pair, with one ViT."""
    model = tiny.standard().requires_grad_(False)
    backbone = tiny.backbone(model)
    settings = load_preset("paper").model_copy(update={"steps": 80})
    transfer = Transfer(STRUCTURE, APPEARANCE, settings, FrozenViT(model, backbone))
    return transfer, LiteralLoop(STRUCTURE, APPEARANCE, model, backbone)


def _layers(network: nn.Module) -> list[nn.Module]:
    kinds = (nn.Conv2d, nn.BatchNorm2d, InstanceNorm)
    return [module for module in network.modules() if isinstance(module, kinds)]


@torch.no_grad()
def _same_weights(ours: UNet, theirs: PaperGenerator) -> None:
    """Random weights for one network, and the same for the other."""
    random = tiny.generator(3)
    for own, other in zip(_layers(ours), _layers(theirs), strict=True):
        shape = own.weight.shape
        own.weight.copy_(torch.randn(shape, generator=random) * 0.3 + (own.weight.ndim == 1))
        other.weight.copy_(own.weight)
        if own.bias is not None:
            own.bias.copy_(torch.randn(own.bias.shape, generator=random) * 0.1)
            other.bias.copy_(own.bias)


@pytest.mark.parametrize("size", [(64, 64), (70, 97)])
def test_the_literal_generator_is_the_paper_presets(size):
    ours, theirs = UNet(), PaperGenerator()
    _same_weights(ours, theirs)
    picture = tiny.picture(*size)[None].double()
    painted = ours.double()(picture)
    assert painted.std() > 0.01
    torch.testing.assert_close(theirs.double()(picture).float(), painted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("step", [0, 1])
def test_literal_losses_are_the_paper_presets_terms(paper, monkeypatch, step):
    transfer, literal = paper
    _same_weights(transfer.learner.network, literal.generator)
    drawn = draws_of(transfer, monkeypatch)
    transfer.step = step
    terms = transfer.losses()
    views = [[target.image[0]] for target in drawn]
    if step == 0:  # the entire pair counts as well
        views[0].append(STRUCTURE)
        views[1].append(APPEARANCE)
    painted = [[literal.generator(view[None])[0] for view in role] for role in views]
    losses = literal.losses(painted[0], views[0], views[1], painted[1])
    assert set(losses) == {"appearance", "structure", "identity"} == set(terms) - {"total"}
    for name, loss in losses.items():
        weighted = literal.weights[name] * loss
        assert float(weighted.detach()) > 1e-4
        torch.testing.assert_close(weighted, terms[name], rtol=1e-4, atol=1e-6)


def test_literal_losses_teach_the_same(paper):
    """The gradient of all three with respect to the pictures."""
    transfer, literal = paper
    target = [transfer.method.entire(role) for role in ("structure", "appearance")]
    painted = [picture.clone().requires_grad_() for picture in (STRUCTURE * 0.9, APPEARANCE * 0.8)]
    terms = transfer.method._terms(*target, lambda inputs: [picture[None] for picture in painted])
    ours = torch.autograd.grad(sum(literal.weights[n] * v for n, v in terms.items()), painted)
    losses = literal.losses(painted[:1], [STRUCTURE], [APPEARANCE], painted[1:])
    theirs = torch.autograd.grad(sum(literal.weights[n] * v for n, v in losses.items()), painted)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(other, own, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("model", [tiny.standard(), tiny.standard(reg_tokens=2), tiny.rotary()])
def test_literal_keys_are_those_of_the_frozen_vit(model):
    extractor = Extractor(model, tiny.backbone(model))
    frozen = tiny.frozen(model)
    last = frozen.blocks
    with torch.no_grad():
        features = frozen(APPEARANCE[None], keys=[last], cls=[last], short_side=224)
        seen = extractor.transform(APPEARANCE)
        torch.testing.assert_close(
            extractor.keys(seen), features.keys[last][0], rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(extractor.cls(seen), features.cls[last][0], rtol=1e-4, atol=1e-4)


def test_calibrated_weights_divide_by_the_values_between_the_pictures(paper):
    transfer, literal = paper
    vit = transfer.full_vit
    calibrated = LiteralLoop(
        STRUCTURE,
        APPEARANCE,
        literal.extractor.vit,
        tiny.backbone(literal.extractor.vit),
        calibrated=True,
    )
    last, squares = vit.blocks, (STRUCTURE[:, :, 16:80], APPEARANCE[:, 6:66])
    with torch.no_grad():
        ours, theirs = (
            vit(square[None], cls=[last], keys=[last], short_side=224) for square in squares
        )
    between = {
        "appearance": objective.appearance_term(ours.cls[last], theirs.cls[last]),
        "structure": objective.structure_term(
            self_similarity(ours.keys[last]), self_similarity(theirs.keys[last])
        ),
        "identity": objective.identity_term(ours.keys[last], theirs.keys[last]),
    }
    for name, value in between.items():
        assert calibrated.weights[name] * float(value) == pytest.approx(1, rel=1e-3)


@pytest.mark.slow
def test_the_literal_loop_learns(paper):
    _, literal = paper

    @torch.no_grad()
    def error() -> float:
        painted = [literal.generator(picture[None])[0] for picture in (STRUCTURE, APPEARANCE)]
        losses = literal.losses(painted[:1], [STRUCTURE], [APPEARANCE], painted[1:])
        return sum(literal.weights[name] * float(value) for name, value in losses.items())

    before, errors = error(), []
    for _ in range(50):
        literal.step()
        errors.append(error())
    # Steps of this size overshoot, each time elsewhere on another processor.
    assert min(errors) < 0.9 * before
    assert literal.done == 50
    picture = literal.eight_bits()
    assert picture.shape == (64, 96, 3)
    assert abs(picture / 255 - literal.picture().permute(1, 2, 0).numpy()).max() < 0.5 / 255 + 1e-6


def test_the_literal_views_are_parts_of_their_pictures(paper):
    _, literal = paper
    for _ in range(20):
        view = literal.appearance_view()
        side = view.shape[1]
        assert view.shape == (3, side, side)
        assert round(0.95 * 60) <= side <= 60
        windows = APPEARANCE.unfold(1, side, 1).unfold(2, side, 1)
        found = [
            (windows == each[:, None, None]).all(-1).all(-1).all(0).any()
            for each in (view, view.flip(-1))
        ]
        assert any(found)
        assert literal.structure_view().shape[1] <= 64


def test_a_whole_view_costs_the_literal_loop_what_the_entire_pair_does(paper):
    """Every 75th step has the entire pair as well."""
    _, literal = paper
    counted = []
    literal.extractor.vit.register_forward_hook(lambda *call: None)
    forward = literal.extractor.vit.forward_features

    def count(images):
        counted[-1].append(torch.is_grad_enabled())
        return forward(images)

    literal.extractor.vit.forward_features = count
    for done in (1, ENTIRE_EVERY):
        literal.done = done
        counted.append([])
        literal.step()
    assert sorted(counted[0]) == [False] * 3 + [True] * 3
    assert sorted(counted[1]) == [False] * 6 + [True] * 6


def test_losses_are_means_over_nothing_but_their_pictures():
    """Twice the same picture is twice the loss: the literal losses are sums over pictures."""
    model = tiny.standard().requires_grad_(False)
    extractor = Extractor(model, tiny.backbone(model))
    one = extractor.loss(extractor.cls, [STRUCTURE], [APPEARANCE])
    two = extractor.loss(extractor.cls, [STRUCTURE] * 2, [APPEARANCE] * 2)
    torch.testing.assert_close(two, 2 * one)
