"""Tiny vision transformers, pictures and settings, for tests of the method."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import Backbone, find_backbone
from splice.method import gamut
from splice.method.appearances import Appearance, Patches
from splice.method.semantics import Semantics, find_semantics
from splice.method.settings import Meaning, Settings, merged
from splice.running.presets import load_preset

PATCH, WIDTH, BLOCKS, HEADS, SIDE = 14, 32, 4, 2, 56

ALL = tuple(range(1, BLOCKS + 1))
KINDS = ("cls", "tokens", "keys", "queries", "values", "attention")
EVERYTHING = dict.fromkeys(KINDS, ALL)
"""All features of all blocks, as they are asked for."""

# Of a picture of 56 pixels; as many as the default takes would be seconds for each run.
gamut.SAMPLES = 24


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randomise(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights that let every part of the model matter."""
    random = generator(seed)
    for name, weight in model.named_parameters():
        values = torch.randn(weight.shape, generator=random)
        if "gamma" in name or (weight.ndim == 1 and name.endswith("weight")):
            values = 1 + 0.3 * values
        elif weight.ndim == 1:
            values = 0.2 * values
        elif weight.ndim in (2, 4):
            values = values / weight[0].numel() ** 0.5
        weight.data = values.to(weight.dtype)
    return model.eval()


def standard(seed: int = 0, **changes: Any) -> VisionTransformer:
    """A ViT of timm with [CLS], position embedding and layer scale; 56 × 56 px, 4 × 4 patches."""
    values = {
        "img_size": SIDE,
        "patch_size": PATCH,
        "embed_dim": WIDTH,
        "depth": BLOCKS,
        "num_heads": HEADS,
        "init_values": 0.1,
        "num_classes": 0,
        "dynamic_img_size": True,
    }
    model = randomise(VisionTransformer(**values | changes), seed)
    assert isinstance(model, VisionTransformer)
    return model


def rotary(seed: int = 0, **changes: Any) -> Eva:
    """A ViT as DINOv3 is: rotary positions, registers, no position embedding."""
    values = {
        "img_size": SIDE,
        "patch_size": PATCH,
        "embed_dim": WIDTH,
        "depth": BLOCKS,
        "num_heads": HEADS,
        "num_classes": 0,
        "dynamic_img_size": True,
        "init_values": 0.1,
        "num_reg_tokens": 4,
        "use_abs_pos_emb": False,
        "use_rot_pos_emb": True,
        "rope_type": "dinov3",
        "rope_temperature": 100.0,
        "rope_rotate_half": True,
    }
    model = randomise(Eva(**values | changes), seed)
    assert isinstance(model, Eva)
    return model


def backbone(model: VisionTransformer | Eva) -> Backbone:
    return replace(
        find_backbone("dinov2_vits14"),
        name="tiny",
        patch=model.patch_embed.patch_size[0],
        width=model.embed_dim,
        blocks=len(model.blocks),
        registers=model.num_prefix_tokens - 1,
    )


def frozen(model: VisionTransformer | Eva | None = None, **options: Any) -> FrozenViT:
    model = standard() if model is None else model
    return FrozenViT(model, backbone(model), **options)


def semantics(
    codes: Tensor, likeness: Tensor, grid: tuple[int, int], other: tuple[int, int]
) -> Semantics:
    """Semantics of which nothing asks for tokens."""
    ours, theirs = (torch.zeros(side, 1) for side in likeness.shape)
    return Semantics(codes, likeness, grid, (Patches(other),), (ours, theirs))


def semantics_of(
    vit: FrozenViT, structure: Tensor, appearance: Tensor, painted: Tensor, meaning: Meaning
) -> Semantics:
    """Of a pair with one appearance image."""
    return find_semantics(vit, structure, [Appearance(appearance)], painted, meaning)


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth blobs of colour with fine grain, 3 × height × width in [0, 1]."""
    random = generator(seed)
    coarse = torch.rand(1, 3, 5, 5, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    return (smooth + 0.1 * torch.randn(3, height, width, generator=random)).clamp(0, 1)


OBJECTIVE: dict[str, float] = {
    "appearance": 3.0,
    "structure": 1.5,
    "nearest": 5.0,
    "colour": 2.0,
    "edges": 1.0,
    "gamut": 10.0,
    "palette": 5.0,
    "identity": 10.0,
}
"""All terms of the default method, whatever the defaults are tuned to."""


def settings(**changes: Any) -> Settings:
    """A tiny run of the default method with all terms; sections are given as dictionaries."""
    small = {
        "steps": 6,
        "precision": "fp32",
        "seen": {"short_side": SIDE, "since": 0.25},
        "meaning": {"short_side": SIDE, "channels": 8},
        "tones": {"parts": 6},
        "objective": OBJECTIVE,
    }
    return Settings.model_validate(merged(small, changes))


def paper(**changes: Any) -> Settings:
    """The published method seeing 56 pixels; sections are given as dictionaries."""
    small = {"steps": 6, "seen": {"short_side": SIDE}}
    values = load_preset("paper").model_dump()
    return Settings.model_validate(merged(values, merged(small, changes)))


def leave_edges(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """In a module patches are from now on enlarged, and not brought to edges."""
    monkeypatch.setattr(
        module,
        "bilateral_upsampling",
        lambda coarse, guide: F.interpolate(coarse, size=guide.shape[-2:], mode="bilinear"),
    )
