"""Tiny vision transformers, pictures and settings, for tests of the method."""

from dataclasses import replace
from typing import Any

import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from splice.backbones import Backbone, find_backbone
from splice.features import FrozenViT
from splice.section import merged
from splice.settings import Settings

PATCH, WIDTH, BLOCKS, HEADS, SIDE = 14, 32, 4, 2, 56


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


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth blobs of colour with fine grain, 3 × height × width in [0, 1]."""
    random = generator(seed)
    coarse = torch.rand(1, 3, 5, 5, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    return (smooth + 0.1 * torch.randn(3, height, width, generator=random)).clamp(0, 1)


CONSTANT = ((0.0, 1.0),)
FALLING = ((0.0, 1.0), (1.0, 0.0))
OBJECTIVE: dict[str, Any] = {
    "calibrated": True,
    "appearance": {
        "weight": 1.0,
        "schedule": CONSTANT,
        "every": 2,
        "depths": (0.25, 0.5, 0.75, 1.0),
    },
    "structure": {"weight": 1.0, "schedule": CONSTANT, "every": 2},
    "identity": {"weight": 0.3, "schedule": CONSTANT},
    "pixel_identity": {
        "weight": 2.0,
        "schedule": FALLING,
        "recolour": 1.3,
        "contrast": 0.3,
        "tint": 0.1,
        "every": 2,
    },
    "local": {
        "weight": 1.0,
        "schedule": CONSTANT,
        "every": 2,
        "depths": (0.25, 0.5, 0.75),
        "semantics": 1.0,
    },
    "closeups": {
        "weight": 2.0,
        "schedule": CONSTANT,
        "every": 2,
        "first": 1,
        "depths": (0.25, 0.5, 0.75),
        "smallest": 0.35,
        "largest": 0.6,
    },
    "edges": {"weight": 3.0},
    "colour": {"weight": 3.0, "schedule": ((0.0, 1.0), (0.5, 0.0)), "cells": 4},
    "chroma": {"weight": 12.0, "schedule": CONSTANT, "cells": 32},
    "detail": {"weight": 2.0, "schedule": CONSTANT},
    "patches": {
        "weight": 2.0,
        "schedule": CONSTANT,
        "samples": 64,
        "projections": 8,
        "side": 3,
        "scales": (1.0, 2.0, 4.0),
        "semantics": 1.0,
    },
}
"""All terms at once, whatever the defaults are tuned to."""


def settings(**changes: Any) -> Settings:
    """A tiny run with all terms; sections are given as dictionaries."""
    small = {
        "steps": 6,
        "precision": "fp32",
        "seen": {"short_side": SIDE, "long_side": 112},
        "meaning": {"short_side": SIDE, "long_side": 112, "channels": 8, "radius": 2},
        "views": {"pool": 3},
        "objective": OBJECTIVE,
    }
    return Settings.model_validate(merged(small, changes))
