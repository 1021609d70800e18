"""A tiny vision transformer, a picture, and settings of an inversion that takes moments."""

from dataclasses import replace

import timm
import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import find_backbone
from splice.studies.inversion import InversionSettings

SMALL = {"size": 80, "steps": 6}


def transformer() -> FrozenViT:
    model = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=80,
        embed_dim=32,
        depth=3,
        num_heads=2,
        num_classes=0,
        dynamic_img_size=True,
    )
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    backbone = replace(find_backbone("dino_vits16"), name="tiny", width=32, blocks=3)
    return FrozenViT(model.eval(), backbone)


def picture() -> torch.Tensor:
    coarse = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, (80, 96), mode="bicubic")[0].clamp(0, 1)


def settings(**changes) -> InversionSettings:
    return InversionSettings(**{**SMALL, **changes})
