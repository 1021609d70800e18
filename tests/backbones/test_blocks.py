"""Every kind of ViT that timm has: seen as timm sees it, or refused."""

import pytest
import timm
import tiny
import torch
from timm.models.vision_transformer import ParallelScalingBlock, ResPostBlock

from splice.backbones.blocks import FEW_TOKENS, QUERIES, FoldedBlock, PlainBlock, attend
from splice.errors import InputError

SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 0, "dynamic_img_size": True}
LIKE = {
    "vit_small_patch16_224.dino": (FoldedBlock, {}),
    "vit_small_patch14_dinov2": (FoldedBlock, {"img_size": 56}),
    "vit_small_patch14_reg4_dinov2": (FoldedBlock, {"img_size": 56}),
    "deit3_small_patch16_224": (FoldedBlock, {}),
    "deit_tiny_distilled_patch16_224": (FoldedBlock, {}),
    "vit_base_patch16_clip_224": (FoldedBlock, {}),
    "vit_small_patch16_dinov3": (PlainBlock, {}),
    "vit_giant_patch14_dinov2": (PlainBlock, {"img_size": 56, "embed_dim": 48, "mlp_ratio": 4.0}),
    "beit3_base_patch16_224": (PlainBlock, {}),
    "eva02_small_patch14_224": (PlainBlock, {}),
    "eva02_base_patch16_clip_224": (PlainBlock, {}),
    "vit_base_patch16_rope_224": (PlainBlock, {}),
    "vit_base_patch16_rope_mixed_224": (PlainBlock, {}),
    "vit_pe_core_base_patch16_224": (PlainBlock, {}),
}


@pytest.mark.parametrize("name", LIKE)
def test_blocks_do_what_timms_do(name):
    kind, changes = LIKE[name]
    if not timm.is_model(name.partition(".")[0]):
        pytest.skip(f"this timm has no {name}")
    model = timm.create_model(name.partition(".")[0], **{**SMALL, **changes})
    tiny.randomise(model)
    side = model.patch_embed.patch_size[0]
    images = torch.stack([tiny.picture(3 * side, 4 * side, seed) for seed in (1, 2)])
    leaving: list[torch.Tensor] = []
    for block in model.blocks:
        block.register_forward_hook(lambda _m, _i, out: leaving.append(out))
    vit = tiny.frozen(model)
    mean, deviation = (
        torch.tensor(v)[:, None, None] for v in (vit.backbone.mean, vit.backbone.std)
    )
    with torch.no_grad():
        model.forward_features((images - mean) / deviation)
    found = vit(images, cls=[1, 2], tokens=[1, 2], short_side=None)
    assert all(type(layer) is kind for layer in vit.layers)
    for block, out in enumerate(leaving, 1):
        close = {"atol": 2e-5, "rtol": 1e-4}
        torch.testing.assert_close(found.cls[block], out[:, 0], **close)
        torch.testing.assert_close(found.tokens[block], out[:, model.num_prefix_tokens :], **close)


@pytest.mark.parametrize("changes", [{"qk_norm": True}, {"qkv_bias": False}, {"proj_bias": False}])
def test_folding_with_norms_of_keys_and_without_biases(changes):
    model = tiny.standard(**changes)
    leaving: list[torch.Tensor] = []
    model.blocks[-1].register_forward_hook(lambda _m, _i, out: leaving.append(out))
    vit, image = tiny.frozen(model), tiny.picture(56, 56)[None]
    mean, deviation = (
        torch.tensor(v)[:, None, None] for v in (vit.backbone.mean, vit.backbone.std)
    )
    with torch.no_grad():
        model.forward_features((image - mean) / deviation)
    found = vit(image, tokens=[4], short_side=None)
    assert type(vit.layers[0]) is FoldedBlock
    torch.testing.assert_close(found.tokens[4], leaving[0][:, 1:], atol=2e-5, rtol=1e-4)


def test_folding_leaves_the_model_as_it_was():
    model = tiny.standard()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    tiny.frozen(model, dtype=torch.bfloat16)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: tiny.standard(block_fn=ResPostBlock), "ResPostBlock"),
        (lambda: tiny.standard(block_fn=ParallelScalingBlock), "ParallelScalingBlock"),
        (lambda: tiny.rotary(use_post_norm=True), "EvaBlockPostNorm"),
    ],
)
def test_other_blocks_are_refused_by_name(make, name):
    with pytest.raises(InputError, match=rf"tiny cannot be a backbone: its blocks \({name}\)"):
        tiny.frozen(make())


@pytest.mark.parametrize("tokens", [1, 7, FEW_TOKENS + 1])
@pytest.mark.parametrize("learning", [False, True])
def test_attention_is_the_formula(tokens, learning):
    """Vaswani et al., eq. 1, head by head in float64, with its gradient; plain and fused."""
    random = torch.Generator().manual_seed(tokens)
    queries = torch.randn(2, 3, min(tokens, 5), 8, generator=random)
    keys, values = torch.randn(2, 2, 3, tokens, 8, generator=random)
    wide = [x.double().requires_grad_() for x in (queries, keys, values)]
    narrow = [x.requires_grad_(learning) for x in (queries, keys, values)]
    expected = torch.stack(
        [
            torch.stack([torch.softmax(q @ k.T / 8**0.5, 1) @ v for q, k, v in zip(*heads)])  # noqa: B905
            for heads in zip(*wide)  # noqa: B905
        ]
    )
    found = attend(*narrow)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)
    if learning:
        expected.square().sum().backward()
        found.square().sum().backward()
        for ours, theirs in zip(narrow, wide, strict=True):
            torch.testing.assert_close(ours.grad.double(), theirs.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("queries", [1, QUERIES, 2 * QUERIES + 3])
def test_attention_in_half_precision_is_the_formula_for_all_queries(queries):
    """Eq. 1 in float64 of the same rounded numbers, within some roundings of bfloat16."""
    random = torch.Generator().manual_seed(queries)
    asked = torch.randn(2, 3, queries, 8, generator=random).bfloat16()
    keys, values = torch.randn(2, 2, 3, 300, 8, generator=random).bfloat16()
    weights = torch.softmax(asked.double() @ keys.double().transpose(-1, -2) / 8**0.5, -1)
    found = attend(asked, keys, values)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), weights @ values.double(), atol=0.01, rtol=0.01)
