"""Every feature against its equations written out in float64, and against timm's own modules."""

import math

import pytest
import tiny
import torch
from tiny import ALL, EVERYTHING, KINDS
from torch import Tensor

from splice.backbones.features import self_similarity
from splice.backbones.patch_grid import resize_to_patches


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
