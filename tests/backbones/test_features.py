"""The frozen ViT against its equations written out in float64, and against timm's own modules."""

import math

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from splice.backbones.features import self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.patch_grid import resize_to_patches
from splice.errors import InputError

ALL = tuple(range(1, tiny.BLOCKS + 1))
KINDS = ("cls", "tokens", "keys", "queries", "values", "attention")
EVERYTHING = dict.fromkeys(KINDS, ALL)


def straight(model, images: Tensor) -> dict[str, dict[int, Tensor]]:
    """Dosovitskiy et al. (2021), eq. 1-3, with layer scale and registers, step by step in float64."""
    weights = {name: value.double() for name, value in model.state_dict().items()}
    images, patch = images.double(), model.patch_embed.patch_size[0]
    heads, prefix = model.blocks[0].attn.num_heads, model.num_prefix_tokens
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)
    deviation = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)
    images = (images - mean[:, None, None]) / deviation[:, None, None]
    rows, columns = images.shape[2] // patch, images.shape[3] // patch
    patches = [
        images[:, :, r * patch : (r + 1) * patch, c * patch : (c + 1) * patch].flatten(1)
        for r in range(rows)
        for c in range(columns)
    ]
    matrix = weights["patch_embed.proj.weight"].flatten(1)
    x = torch.stack([p @ matrix.T + weights["patch_embed.proj.bias"] for p in patches], 1)
    first = [weights["cls_token"], *([weights["reg_token"]] if "reg_token" in weights else [])]
    first = torch.cat(first, 1).expand(len(x), -1, -1)
    positions = weights["pos_embed"]
    in_front = 0 if model.no_embed_class else prefix
    side = model.patch_embed.grid_size[0]
    grid = positions[:, in_front:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    if (rows, columns) != (side, side):
        grid = torch.nn.functional.interpolate(
            grid, (rows, columns), mode="bicubic", antialias=True, align_corners=False
        )
    grid = grid.flatten(2).transpose(1, 2)
    x = torch.cat([first + positions[:, :in_front] if in_front else first, x + grid], 1)

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.square().mean(-1, keepdim=True)
        epsilon = model.blocks[0].norm1.eps
        scaled = centred / (variance + epsilon).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def joined(x: Tensor) -> Tensor:
        return torch.cat([x[:, :1], x[:, prefix:]], 1)

    found: dict[str, dict[int, Tensor]] = {kind: {} for kind in KINDS}
    for index in range(len(model.blocks)):
        block = f"blocks.{index}"
        q, k, v = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").chunk(3, -1)
        found["queries"][index + 1], found["keys"][index + 1] = joined(q), joined(k)
        found["values"][index + 1] = joined(v)
        mixed, attended = [], []
        size = q.shape[-1] // heads
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(size)
            share = scores.exp() / scores.exp().sum(-1, keepdim=True)
            mixed.append(share @ v[..., part])
            attended.append(share[:, 0, prefix:])
        found["attention"][index + 1] = torch.stack(attended, 1)
        scale = [weights.get(f"{block}.ls{n}.gamma", torch.ones(1)).double() for n in (1, 2)]
        x = x + scale[0] * linear(torch.cat(mixed, -1), f"{block}.attn.proj")
        hidden = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        x = x + scale[1] * linear(hidden, f"{block}.mlp.fc2")
        found["cls"][index + 1], found["tokens"][index + 1] = x[:, 0], x[:, prefix:]
    return found


VARIANTS = {
    "dinov2": {},
    "dino, no layer scale": {"init_values": None},
    "registers": {"reg_tokens": 3, "no_embed_class": True},
    "registers with positions": {"reg_tokens": 2},
    "one head": {"num_heads": 1},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("grid", [(4, 4), (3, 5)])
def test_every_feature_follows_the_equations(variant, grid):
    model = tiny.standard(**VARIANTS[variant])
    height, width = grid[0] * tiny.PATCH, grid[1] * tiny.PATCH
    images = torch.stack([tiny.picture(height, width, seed) for seed in (1, 2)])
    expected = straight(model, images)
    found = tiny.frozen(model)(images, **EVERYTHING, short_side=None)
    assert found.grid == grid
    for kind in KINDS:
        assert set(getattr(found, kind)) == set(ALL)
        for block in ALL:
            value = getattr(found, kind)[block]
            assert value.dtype == torch.float32
            assert value.shape == expected[kind][block].shape
            torch.testing.assert_close(
                value.double(), expected[kind][block], atol=2e-5, rtol=1e-4, msg=f"{kind} {block}"
            )


def test_one_image_of_a_batch():
    images = torch.stack([tiny.picture(56, 56, seed) for seed in range(3)])
    vit = tiny.frozen()
    together = vit(images, **EVERYTHING)[1:2]
    alone = vit(images[1:2], **EVERYTHING)
    for kind in KINDS:
        for block in ALL:
            torch.testing.assert_close(getattr(together, kind)[block], getattr(alone, kind)[block])
    assert together.grid == alone.grid


class Watched:
    """What passes through the modules of a timm model with rotary positions."""

    def __init__(self, model) -> None:
        self.model, self.out = model, []
        self.normed, self.shares = [], []
        for block in model.blocks:
            block.attn.fused_attn = False
            block.register_forward_hook(lambda _m, _i, out: self.out.append(out))
            block.norm1.register_forward_hook(lambda _m, _i, out: self.normed.append(out))
            block.attn.attn_drop.register_forward_hook(lambda _m, _i, out: self.shares.append(out))

    def run(self, images: Tensor) -> None:
        mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        with torch.no_grad():
            self.model.forward_features((images - mean) / deviation)


@pytest.mark.parametrize(
    "changes", [{}, {"swiglu_mlp": True}, {"qkv_fused": False}, {"num_reg_tokens": 0}]
)
def test_rotary_backbones_are_timms(changes):
    model = tiny.rotary(**changes)
    vit, watched = tiny.frozen(model), Watched(model)
    images = torch.stack([tiny.picture(42, 70, seed) for seed in (1, 2)])
    found = vit(images, **EVERYTHING, short_side=None)
    watched.run(images)
    prefix = model.num_prefix_tokens
    for block in ALL:
        out, attention = watched.out[block - 1], model.blocks[block - 1].attn
        close = {"atol": 2e-5, "rtol": 1e-4}
        torch.testing.assert_close(found.cls[block], out[:, 0], **close)
        torch.testing.assert_close(found.tokens[block], out[:, prefix:], **close)
        shares = watched.shares[block - 1][:, :, 0, prefix:]
        torch.testing.assert_close(found.attention[block], shares, **close)
        normed = watched.normed[block - 1]
        if attention.qkv is None:
            layers = (attention.q_proj, attention.k_proj, attention.v_proj)
            expected = [layer(normed) for layer in layers]
        else:
            biases = (attention.q_bias, 0, attention.v_bias)
            parts = (normed @ attention.qkv.weight.T).chunk(3, -1)
            expected = [part + bias for part, bias in zip(parts, biases, strict=True)]
        for kind, value in zip(("queries", "keys", "values"), expected, strict=True):
            value = torch.cat([value[:, :1], value[:, prefix:]], 1)
            torch.testing.assert_close(getattr(found, kind)[block], value, **close)


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


@pytest.mark.parametrize(
    ("size", "patch", "short", "long", "expected"),
    [
        ((200, 200), 14, 224, 480, (224, 224)),
        ((200, 300), 14, 224, 480, (224, 336)),
        ((300, 200), 14, 224, 480, (336, 224)),
        ((100, 215), 14, 224, 480, (224, 476)),  # 481.6, the nearest multiple is 476
        ((100, 300), 14, 224, 480, (224, 476)),  # cut down to the largest multiple below 480
        ((300, 100), 14, 224, 480, (476, 224)),
        ((100, 300), 14, 224, None, (224, 672)),
        ((100, 300), 8, 224, 480, (224, 480)),
        ((150, 100), 16, 224, 480, (336, 224)),
        ((101, 103), 16, 224, 480, (224, 224)),  # 228.4
        ((16, 128), 14, 56, 112, (56, 112)),
        ((1, 1), 14, 28, 480, (28, 28)),
        ((8, 100), 14, 5, 480, (14, 56)),  # never less than a patch: 62.5, so 4 patches
    ],
)
def test_sizes_that_the_vit_takes(size, patch, short, long, expected):
    image = torch.rand(1, 3, *size, generator=tiny.generator())
    resized = resize_to_patches(image, patch, short, long)
    assert tuple(resized.shape) == (1, 3, *expected)


def test_a_fitting_image_is_not_touched():
    image = torch.rand(1, 3, 224, 336, generator=tiny.generator())
    assert resize_to_patches(image, 14) is image
    assert resize_to_patches(image, 14, None) is image


def bicubic(size: int, target: int) -> np.ndarray:
    """Antialiased bicubic interpolation along one side, target × size (Keys, 1981, a = -1/2)."""
    scale = max(size / target, 1.0)
    matrix = np.zeros((target, size))
    for i in range(target):
        centre = (i + 0.5) * size / target
        for j in range(size):
            t = abs(j + 0.5 - centre) / scale
            if t < 1:
                matrix[i, j] = 1.5 * t**3 - 2.5 * t**2 + 1
            elif t < 2:
                matrix[i, j] = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return matrix / matrix.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [(100, 130), (20, 33)])
def test_resizing_is_antialiased_bicubic(size):
    image = torch.rand(1, 3, *size, generator=tiny.generator(), dtype=torch.float64)
    resized = resize_to_patches(image, 14, 42)
    rows, columns = (bicubic(*pair) for pair in zip(size, resized.shape[2:], strict=True))
    expected = np.einsum("ir,crs,js->cij", rows, image[0].numpy(), columns)
    np.testing.assert_allclose(resized[0].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("size", [(40, 120), (120, 40), (33, 47), (16, 128)])
def test_any_aspect(size):
    vit = tiny.frozen()
    image = tiny.picture(*size)[None]
    found = vit(image, cls=[4], keys=[4], tokens=[4], short_side=56, long_side=200)
    resized = resize_to_patches(image, 14, 56, 200)
    assert found.grid == (resized.shape[2] // 14, resized.shape[3] // 14)
    expected = straight(tiny.standard(), resized)
    torch.testing.assert_close(found.cls[4].double(), expected["cls"][4], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(found.keys[4].double(), expected["keys"][4], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("block", [0, 5, -1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_block_out_of_range_is_named_with_the_range(kind, block):
    with pytest.raises(InputError, match=rf"block {block} of {kind}: tiny has blocks 1 to 4"):
        tiny.frozen()(tiny.picture(56, 56)[None], **{kind: [1, block]})


def test_sides_that_patches_do_not_divide_are_refused():
    with pytest.raises(InputError, match="70×57 px is not cut evenly by patches of 14 px"):
        tiny.frozen()(tiny.picture(57, 70)[None], cls=[1], short_side=None)


def test_self_similarity_is_the_cosine_of_every_pair():
    keys = torch.randn(2, 7, 5, generator=tiny.generator(), dtype=torch.float64)
    found = self_similarity(keys)
    for image in range(2):
        for i in range(7):
            for j in range(7):
                a, b = keys[image, i].numpy(), keys[image, j].numpy()
                cosine = sum(a * b) / math.sqrt(sum(a * a) * sum(b * b))
                assert found[image, i, j].item() == pytest.approx(cosine, abs=1e-12)
    torch.testing.assert_close(found, self_similarity(keys * 7))
