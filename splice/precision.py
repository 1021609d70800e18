"""In which precision matrix products are computed."""

import contextlib
from typing import Any

import torch

from splice.errors import InputError

NAMES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def precision_of(name: str, device: torch.device) -> torch.dtype:
    """The precision of that name; `auto` is bfloat16 where the device computes in it, else float32.

    Raises:
        InputError: float16 on a device other than a CUDA GPU.
    """
    if name == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    if name == "fp16" and device.type != "cuda":
        raise InputError("--precision fp16 needs a CUDA GPU; take bf16, fp32 or auto.")
    return NAMES[name]


def autocast_of(device: torch.device, dtype: torch.dtype) -> Any:
    """A context in which convolutions and products run in that precision."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # Not public, and not in every version of torch.
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, lambda: False)() for name in names)
    return False
