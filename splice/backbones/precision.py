"""In which precision matrix products are computed."""

import contextlib
from typing import Any

import torch

from splice.backbones.machine import bfloat16_is_faster
from splice.errors import InputError

NAMES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def precision_of(name: str, device: torch.device) -> torch.dtype:
    """The precision of that name; `auto` is bfloat16 where the device is faster in it, else float32.

    Raises:
        InputError: float16 on a device other than a CUDA GPU.
    """
    if name == "auto":
        return torch.bfloat16 if _gains_by_bfloat16(device) else torch.float32
    if name == "fp16" and device.type != "cuda":
        raise InputError("--precision fp16 needs a CUDA GPU; take bf16, fp32 or auto.")
    return NAMES[name]


def autocast_of(device: torch.device, dtype: torch.dtype) -> Any:
    """A context in which convolutions and products run in that precision."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def _gains_by_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bfloat16_is_faster()
