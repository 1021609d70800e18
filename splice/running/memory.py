"""How large a picture fits: what a run needs, what there is, and what to say when it ran out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from splice.errors import RunError
from splice.method.setting_values import MAX_SIZE, MIN_SIZE
from splice.method.settings import Settings
from splice.method.sparing import (
    PIXELS_IN_ONE_PIECE,
    SPARED_PIXELS,
    is_out_of_memory,
    learnt_pixels,
    painted_sides,
)

FIXED_BYTES = 1_400_000_000
"""What a run takes whatever its size: libraries, the backbone and its features."""

BYTES_DELIVERED = 150
"""What a run keeps for each pixel of the output: both pictures, the output, what makes it large."""

BYTES_LEARNT = 3_500
"""What a step takes for each pixel that it learns from: activations of the generator, twice."""

BYTES_LEARNT_SPARINGLY = 1_700
"""Likewise where memory is spared."""

BYTES_PAINTED = 1_000
"""What painting takes for each pixel of the painting."""

BYTES_PAINTED_IN_BANDS = 350
"""Likewise in bands."""

USUAL = Settings()
"""The preset `default`."""

_SHARE = 0.8
"""Of the free memory, what a run may plan with; the rest is left to others and to fluctuations."""


def needed_memory(height: int, width: int, settings: Settings = USUAL) -> int:
    """About how many bytes a run takes for an output of that size.

    The constants lie a little above the peaks that `benchmarks/memory.py` measured on the CPU (see
    docs/robustness.md); another backbone, or another size at which it sees, changes the fixed part.

    Args:
        height: of the output, in pixels.
        width: likewise.
        settings: of the run.
    """
    return round(FIXED_BYTES + _growing(height, width, settings))


def _growing(height: float | int, width: float | int, settings: Settings) -> float:
    """What grows with the size."""
    painted = painted_sides(height, width, settings)
    pixels, learnt = painted[0] * painted[1], learnt_pixels(*painted, settings)
    spared = learnt > SPARED_PIXELS
    step = learnt * (BYTES_LEARNT_SPARINGLY if spared else BYTES_LEARNT)
    in_bands = spared or pixels > PIXELS_IN_ONE_PIECE
    painting = pixels * (BYTES_PAINTED_IN_BANDS if in_bands else BYTES_PAINTED)
    return float(BYTES_DELIVERED * height * width + max(step, painting))


def free_memory(device: torch.device) -> int:
    """Bytes that a new run can have on the device, with what this process may use again."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + unused
    import psutil

    return int(min(psutil.virtual_memory().available, left_to_container()))


def own_memory(device: torch.device) -> int:
    """Bytes that this process holds on the device, and that end with it."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    import psutil

    return psutil.Process().memory_info().rss


def left_to_container(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that Linux still lets this container have; infinity where it sets no limit.

    Beyond them the process is killed, although the machine may have memory left.

    Args:
        root: where control groups are shown, of version 2 or 1.
    """
    folders = (
        (root, "memory.max", "memory.current", "inactive_file"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for folder, most, used, cache in folders:
        try:
            limit = int((folder / most).read_text())
            taken = int((folder / used).read_text())
            rows = (row.split() for row in (folder / "memory.stat").read_text().splitlines())
            # Files that were read stay in memory only until something else wants it.
            return float(max(0, limit - taken + int(dict(rows).get(cache, 0))))
        except (OSError, ValueError):  # no such file, or "max" for no limit
            continue
    return float("inf")


def largest_size(
    height: int,
    width: int,
    device: torch.device,
    settings: Settings = USUAL,
) -> int:
    """The largest short side, in pixels, with which a run of such a picture fits the device.

    Args:
        height: of the structure image, in pixels.
        width: likewise.
        device: to run on.
        settings: of the run.

    Returns:
        At most the picture's own short side, and a size that `--size` takes.

    Raises:
        RunError: there is not even memory for the smallest size.
    """
    free = free_memory(device)
    size = _largest_within(free * _SHARE - FIXED_BYTES, height, width, settings)
    if size is None:
        raise RunError(
            f"{free / 1e9:.1f} GB of memory are free on {device}, too little for any run; end "
            "other programs first."
        )
    return size


def _largest_within(room: float, height: int, width: int, settings: Settings) -> int | None:
    """The largest size whose growing part has room; None if there is none."""
    short, aspect = min(height, width), max(height, width) / min(height, width)
    # From the largest down: once memory is spared, a larger size may take less than a smaller one.
    for size in range(max(MIN_SIZE, min(short, MAX_SIZE)), MIN_SIZE - 1, -1):
        if _growing(size, size * aspect, settings) <= room:
            return size
    return None


@contextmanager
def explained(
    height: int,
    width: int,
    device: torch.device,
    settings: Settings = USUAL,
) -> Iterator[None]:
    """Within, running out of memory is told as that, with the size that would fit.

    Raises:
        RunError: memory ran out.
        Exception: whatever else goes wrong, unchanged.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise ran_out(height, width, device, settings) from error
        raise


def ran_out(
    height: int,
    width: int,
    device: torch.device,
    settings: Settings = USUAL,
) -> RunError:
    """What to raise when a run with an output of that size ran out of memory.

    The size that it names is what fits by the estimate into what is free once this process has ended,
    and takes at most nine sixteenths of what did not fit: three quarters of a small picture's sides.
    """
    short = min(height, width)
    free = (free_memory(device) + own_memory(device)) * _SHARE - FIXED_BYTES
    failed = _growing(height, width, settings)
    fits = _largest_within(min(free, failed * 9 / 16 + 1), height, width, settings)
    way_out = f"--size {fits} would fit" if fits is not None else "end other programs first"
    return RunError(
        f"there is not enough memory on {device} for a short side of {short} pixels "
        f"(about {needed_memory(height, width, settings) / 1e9:.1f} GB); {way_out}."
    )
