"""Backbones as modules without weights, and the strict loading of a state dict into them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from splice.backbones.registry import Backbone
from splice.backbones.weights.standard import StandardViT

EMBEDDED_SIDE = 37
"""Patches along a side of the pictures that the embedded backbone's positions were learnt for."""

Module = TypeVar("Module", bound=nn.Module)


class MismatchError(Exception):
    """A state dict that is not the backbone's; the text, whose subject is "it", says why."""


@dataclass(frozen=True)
class Anatomy:
    """What makes weights fit one vision transformer and no other."""

    patch: int
    width: int
    blocks: int
    registers: int

    def __str__(self) -> str:
        return (
            f"a vision transformer of patch {self.patch}, width {self.width}, "
            f"{self.blocks} blocks and {self.registers} registers"
        )


def anatomy_of(backbone: Backbone) -> Anatomy:
    """The anatomy that weights of this backbone must have."""
    return Anatomy(backbone.patch, backbone.width, backbone.blocks, backbone.registers)


def anatomy_in(state: Mapping[str, Tensor]) -> Anatomy | None:
    """The anatomy of a state dict in timm's or the DINO authors' layout; None for another."""
    projection = state.get("patch_embed.proj.weight")
    numbers = [re.match(r"blocks\.(\d+)\.", name) for name in state]
    blocks = 1 + max((int(number[1]) for number in numbers if number), default=-1)
    if projection is None or projection.ndim != 4 or blocks == 0:
        return None
    extra = ("reg_token", "register_tokens", "storage_tokens", "dist_token")
    registers = sum(state[name].shape[1] for name in extra if name in state)
    return Anatomy(projection.shape[-1], projection.shape[0], blocks, registers)


def empty(backbone: Backbone) -> Any:
    """The backbone as timm's `VisionTransformer` or `Eva`, headless, for any size, without weights."""
    # Here, as it takes seconds, and the embedded backbone does without.
    import timm
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    def create() -> VisionTransformer | Eva:
        model = timm.create_model(backbone.timm_id, num_classes=0, dynamic_img_size=True)
        assert isinstance(model, (VisionTransformer, Eva))
        return model

    # Without memory: a random initialisation would take longer than reading the weights.
    with torch.device("meta"):
        model = create()
    # Buffers that are computed, such as the periods of rotary positions, need real memory.
    return create() if any(True for _ in model.buffers()) else model


def empty_embedded(backbone: Backbone) -> StandardViT:
    """The embedded backbone without its head, for images of any size, still without weights."""
    with torch.device("meta"):
        return StandardViT(backbone, EMBEDDED_SIDE)


def fill(model: Module, state: Mapping[str, Tensor]) -> Module:
    """The model with these weights, frozen: evaluation mode, fp32, no gradients.

    Args:
        model: of `empty` or `empty_embedded`; taken over.
        state: exactly the model's parameters.

    Raises:
        MismatchError: a parameter is missing, superfluous, of another shape or not finite.
    """
    expected = model.state_dict()
    problems = [f"lacks {name}" for name in expected if name not in state]
    problems += [f"has an unknown {name}" for name in state if name not in expected]
    problems += [
        f"has {name} of shape {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    if problems:
        more = f" (and {len(problems) - 1} more such differences)" if len(problems) > 1 else ""
        raise MismatchError(f"it {problems[0]}{more}")
    state = {name: value.to(torch.float32) for name, value in state.items()}
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise MismatchError(f"its {name} holds values that are not finite")
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def as_timm(backbone: Backbone, model: nn.Module) -> Any:
    """The timm module with the weights of a model that `load_vit` gave: itself, if it is one."""
    if not isinstance(model, StandardViT):
        return model
    device = next(model.parameters()).device
    return fill(empty(backbone), model.state_dict()).to(device)
