"""The frozen ViT's gradients, what a pass computes, its precisions, and what it refuses."""

import pytest
import tiny
import torch
from tiny import ALL, EVERYTHING, KINDS
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError


def directional(vit: FrozenViT, kind: str, block: int) -> tuple[float, float]:
    """Derivative of a random sum of a feature along a random direction: by autograd, by difference."""
    random = tiny.generator(3)
    images = tiny.picture(40, 61, 1)[None].double()
    direction = torch.randn(images.shape, generator=random, dtype=torch.float64)
    shape = getattr(vit(images, **{kind: [block]}, short_side=42), kind)[block].shape
    weights = torch.randn(shape, generator=random, dtype=torch.float64)

    def value(x: Tensor) -> Tensor:
        found = getattr(vit(x, **{kind: [block]}, short_side=42), kind)[block]
        return (found.double() * weights).sum()

    images.requires_grad_()
    (gradient,) = torch.autograd.grad(value(images), images)
    step = 1e-5
    with torch.no_grad():
        difference = value(images + step * direction) - value(images - step * direction)
    return float((gradient * direction).sum()), float(difference / (2 * step))


@pytest.mark.parametrize("kind", ["cls", "tokens", "keys", "queries", "values"])
@pytest.mark.parametrize("make", [tiny.standard, tiny.rotary])
def test_gradient_is_that_of_finite_differences(kind, make):
    vit = tiny.frozen(make()).double()
    by_autograd, by_difference = directional(vit, kind, tiny.BLOCKS)
    assert abs(by_difference) > 1e-2
    assert by_autograd == pytest.approx(by_difference, rel=1e-5)


@pytest.mark.parametrize("make", [tiny.standard, tiny.rotary])
def test_weights_get_no_gradient(make):
    vit = tiny.frozen(make())
    images = tiny.picture(56, 56)[None].requires_grad_()
    vit(images, tokens=[tiny.BLOCKS]).tokens[tiny.BLOCKS].sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert not any(weight.requires_grad for weight in vit.parameters())
    assert all(weight.grad is None for weight in vit.parameters())
    assert not vit.training


def test_what_lies_behind_the_last_block_is_not_computed():
    """Broken weights there must not matter."""
    images = tiny.picture(56, 56)[None].requires_grad_()
    for wanted, broken in {
        "keys": ("blocks.1.attn.proj", "blocks.1.mlp", "blocks.1.norm2", "blocks.2", "blocks.3"),
        "cls": ("blocks.2", "blocks.3"),
    }.items():
        model = tiny.standard()
        expected = getattr(tiny.frozen(model)(images, **{wanted: [2]}), wanted)[2]
        for name, weight in model.named_parameters():
            if name.startswith(broken):
                weight.data = torch.full_like(weight, float("nan"))
        found = getattr(tiny.frozen(model)(images, **{wanted: [2]}), wanted)[2]
        assert torch.equal(found, expected)


def linear_calls(vit: FrozenViT, images: Tensor, **wanted) -> list[tuple[int, str, int]]:
    """Block, layer and number of tokens of every matrix product of a forward pass."""
    calls: list[tuple[int, str, int]] = []
    hooks = []
    for number, layer in enumerate(vit.layers, 1):
        for name in ("qkv", "output", "expand", "contract"):

            def note(_module, inputs, _output, number=number, name=name):
                calls.append((number, name, inputs[0].shape[1]))

            hooks.append(getattr(layer, name).register_forward_hook(note))
    vit(images, **wanted, short_side=None)
    for hook in hooks:
        hook.remove()
    return calls


def test_one_pass_ends_at_the_last_need():
    vit, images = tiny.frozen(), tiny.picture(56, 56)[None]
    layers, tokens = ("qkv", "output", "expand", "contract"), 17
    whole = [[(block, layer, tokens) for layer in layers] for block in ALL]
    assert linear_calls(vit, images) == []
    assert linear_calls(vit, images, keys=[1]) == [(1, "qkv", tokens)]
    assert linear_calls(vit, images, keys=[3], cls=[1, 2]) == [
        *whole[0],
        *whole[1],
        (3, "qkv", tokens),
    ]
    assert linear_calls(vit, images, tokens=[2], attention=[1]) == [*whole[0], *whole[1]]
    # Of the last block only [CLS] is wanted: the other tokens do not leave it.
    only_cls = [(2, layer, 1) for layer in layers[1:]]
    assert linear_calls(vit, images, cls=[2]) == [*whole[0], (2, "qkv", tokens), *only_cls]


@pytest.mark.parametrize("make", [tiny.standard, tiny.rotary])
def test_attention_is_fused_where_nothing_is_learnt_through_it(make):
    vit, images = tiny.frozen(make()), tiny.picture(56, 56)[None]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        vit(images, tokens=[3])
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts["aten::scaled_dot_product_attention"] == 3
    assert counts["aten::_scaled_dot_product_flash_attention_for_cpu"] == 3
    assert not any("softmax" in name for name in counts)


@pytest.mark.parametrize("make", [tiny.standard, tiny.rotary])
def test_another_precision_leaves_the_original_as_it_was(make):
    vit, images = tiny.frozen(make()), tiny.picture(56, 56)[None]
    before = {name: weight.clone() for name, weight in vit.state_dict().items()}
    expected = vit(images, **EVERYTHING)
    half = vit.at_precision(torch.bfloat16)
    rough = half(images, **EVERYTHING)
    assert vit.at_precision(torch.float32) is vit
    assert half.at_precision(torch.bfloat16) is half
    assert {weight.dtype for weight in half.layers.parameters()} == {torch.bfloat16}
    for name, weight in vit.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, before[name])
    again = vit(images, **EVERYTHING)
    for kind in KINDS:
        for block in ALL:
            exact = getattr(expected, kind)[block]
            assert torch.equal(getattr(again, kind)[block], exact)
            value = getattr(rough, kind)[block]
            assert value.dtype == torch.float32
            error = (value - exact).norm() / exact.norm()
            assert 0 < error < 0.05, (kind, block)
    back = half.at_precision(torch.float32)(images, cls=[4])
    assert (back.cls[4] - expected.cls[4]).norm() / expected.cls[4].norm() < 0.05


@pytest.mark.parametrize("block", [0, 5, -1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_block_out_of_range_is_named_with_the_range(kind, block):
    with pytest.raises(InputError, match=rf"block {block} of {kind}: tiny has blocks 1 to 4"):
        tiny.frozen()(tiny.picture(56, 56)[None], **{kind: [1, block]})


def test_sides_that_patches_do_not_divide_are_refused():
    with pytest.raises(InputError, match="70×57 px is not cut evenly by patches of 14 px"):
        tiny.frozen()(tiny.picture(57, 70)[None], cls=[1], short_side=None)
