"""Where a run computes: which device, what it is, and how much memory it took."""

import platform
import sys
from importlib import metadata
from typing import Any

import torch

from splice import __version__
from splice.backbones.machine import processor
from splice.errors import InputError

_PACKAGES = ("torch", "torchvision", "timm", "kornia", "numpy", "pillow", "safetensors")


def find_device(name: str) -> torch.device:
    """The device of that name; `auto` is the first CUDA GPU, else Apple's, else the CPU.

    Raises:
        InputError: this machine, or the installed torch, has no such device.
    """
    mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise InputError(
                f"--device {name} needs an NVIDIA GPU with its driver and a torch built for it, "
                "and none was found; use --device cpu or auto."
            )
        if device.index is not None and device.index >= count:
            names = ", ".join(f"cuda:{index}" for index in range(count))
            raise InputError(f"there is no {name}; this machine has {names}.")
    if device.type == "mps" and not mps:
        raise InputError("--device mps needs a Mac with Apple's GPU; use --device cpu or auto.")
    return device


def describe_device(device: torch.device) -> dict[str, Any]:
    """The device in words and numbers, for the record of a run."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return {
            "type": str(device),
            "name": properties.name,
            "memory_bytes": properties.total_memory,
            "cuda": torch.version.cuda,
        }
    name = "Apple GPU" if device.type == "mps" else processor()
    return {"type": str(device), "name": name, "threads": torch.get_num_threads()}


def versions() -> dict[str, str]:
    """Versions of everything that a result may depend on."""
    found = {"splice": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    # Its own word says what it was built for as well.
    return found | {"torch": torch.__version__, "platform": platform.platform()}


def peak_memory(device: torch.device) -> dict[str, int]:
    """Most bytes that this process has held so far: in main memory, and on a CUDA device."""
    peak = {"process_bytes": _process_peak()}
    if device.type == "cuda":
        peak["device_bytes"] = torch.cuda.max_memory_allocated(device)
    return peak


def _process_peak() -> int:
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
