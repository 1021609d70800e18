"""Backbones as timm modules, and the strict loading of a state dict into them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import timm
import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from splice.backbones import Backbone


class Mismatch(Exception):
    """A state dict that is not the backbone's; the text says why, for use inside a sentence."""


def build(backbone: Backbone, state: Mapping[str, Tensor]) -> VisionTransformer | Eva:
    """The backbone with these weights, frozen: evaluation mode, fp32, no gradients, any grid.

    Args:
        backbone: what to build.
        state: exactly the parameters of timm's model without its head.

    Raises:
        Mismatch: a parameter is missing, superfluous, of another shape or not finite.
    """
    model = _empty(backbone)
    expected = model.state_dict()
    problems = [f"lacks {name}" for name in expected if name not in state]
    problems += [f"has {name}" for name in state if name not in expected]
    problems += [
        f"has {name} of shape {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - 1} more differences" if len(problems) > 1 else ""
        raise Mismatch(f"it {problems[0]}{more}")
    state = {name: value.to(torch.float32) for name, value in state.items()}
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise Mismatch(f"{name} holds values that are not finite")
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _empty(backbone: Backbone) -> VisionTransformer | Eva:
    def create() -> VisionTransformer | Eva:
        model = timm.create_model(backbone.timm_id, num_classes=0, dynamic_img_size=True)
        assert isinstance(model, (VisionTransformer, Eva))
        return model

    # Without memory: the random initialisation would take longer than reading the weights.
    with torch.device("meta"):
        model = create()
    # Buffers that are computed, such as the periods of rotary positions, need real memory.
    return create() if any(True for _ in model.buffers()) else model


def expectation(backbone: Backbone) -> str:
    """What a file of weights for this backbone must be, as a phrase."""
    return (
        f"timm's {backbone.timm_id} (patch {backbone.patch}, width {backbone.width}, "
        f"{backbone.blocks} blocks, {backbone.registers} registers)"
    )


def description(state: Mapping[str, Tensor]) -> str:
    """What vision transformer a state dict seems to be, as a phrase."""
    projection = state.get("patch_embed.proj.weight")
    numbers = [re.match(r"blocks\.(\d+)\.", name) for name in state]
    blocks = 1 + max((int(number[1]) for number in numbers if number), default=-1)
    if projection is None or projection.ndim != 4 or blocks == 0:
        return "no vision transformer in timm's layout"
    registers = state.get("reg_token")
    return (
        f"a vision transformer of patch {projection.shape[-1]}, width {projection.shape[0]}, "
        f"{blocks} blocks, {0 if registers is None else registers.shape[1]} registers"
    )
