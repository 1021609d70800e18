"""How large a picture fits: what a run needs, what there is, and what to say when it ran out."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from splice.errors import RunError
from splice.settings import MAX_SIZE, MIN_SIZE

FIXED_BYTES = 1_200_000_000
"""What a run takes whatever its size: libraries, the backbone and its features."""

BYTES_PER_PIXEL = 3_500
"""What a run takes for each pixel of the output: activations of the generator and their gradients."""

_PHRASES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "bad_alloc",
    "alloc_failed",
)
"""How torch's allocators, the standard library of C++, and CUDA's libraries say it."""

_SHARE = 0.8
"""Of the free memory, what a run may plan with; the rest is left to others and to fluctuations."""


def needed_memory(height: int, width: int) -> int:
    """About how many bytes a run with the default preset takes for an output of that size.

    Both constants lie a little above the peaks that `benchmarks/memory.py` measured on the CPU (see
    docs/robustness.md); another backbone, or another size at which it sees, changes the fixed part.
    """
    return FIXED_BYTES + BYTES_PER_PIXEL * height * width


def free_memory(device: torch.device) -> int:
    """Bytes that a new run can have on the device, with what this process may use again."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + unused
    import psutil

    return psutil.virtual_memory().available


def largest_size(height: int, width: int, device: torch.device) -> int:
    """The largest short side, in pixels, with which a run of such a picture fits the device.

    Args:
        height: of the structure image, in pixels.
        width: likewise.
        device: to run on.

    Returns:
        At most the picture's own short side, and a size that `--size` takes.

    Raises:
        RunError: there is not even memory for the smallest size.
    """
    room = free_memory(device) * _SHARE - FIXED_BYTES
    short, long = min(height, width), max(height, width)
    pixels = max(0.0, room / BYTES_PER_PIXEL)
    size = int((pixels * short / long) ** 0.5)
    if size < MIN_SIZE:
        raise RunError(
            f"{free_memory(device) / 1e9:.1f} GB of memory are free on {device}, too little for "
            "any run; end other programs first."
        )
    return max(MIN_SIZE, min(size, short, MAX_SIZE))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in torch's words or in Python's."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in _PHRASES)


def let_go(device: torch.device) -> None:
    """Gives back to the device what nothing refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@contextmanager
def explained(height: int, width: int, device: torch.device) -> Iterator[None]:
    """Within, running out of memory is told as that, with the size that would fit.

    Raises:
        RunError: memory ran out.
        Exception: whatever else goes wrong, unchanged.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise ran_out(height, width, device) from error
        raise


def ran_out(height: int, width: int, device: torch.device) -> RunError:
    """What to raise when a run with an output of that size ran out of memory.

    The size that it names is what fits by the estimate, and always smaller than the one that did not.
    """
    short = min(height, width)
    need = needed_memory(height, width) / 1e9
    try:
        fits = min(largest_size(height, width, device), short * 3 // 4)
    except RunError:
        fits = 0
    way_out = f"--size {fits} would fit" if fits >= MIN_SIZE else "end other programs first"
    return RunError(
        f"there is not enough memory on {device} for a short side of {short} pixels "
        f"(about {need:.1f} GB); {way_out}."
    )
