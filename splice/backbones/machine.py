"""What this machine is faster at: measured once, and remembered beside the weights.

Processors that have bfloat16 instructions do not all gain by them, and torch may lack kernels for those
that would. So the first run on a machine times a typical product and a typical convolution both ways.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from splice.backbones.weights.cache import cache_folder
from splice.errors import SpliceError
from splice.pictures.atomic import write_atomically

ROUNDS = 7
"""Of each kind of work in each precision, in turns; the fastest counts."""

GAIN = 0.95
"""Share of float32's time below which bfloat16 is worth its rounding."""


def bfloat16_is_faster(folder: Path | None = None) -> bool:
    """Whether this machine's processor computes faster in bfloat16 than in float32.

    Measured when this processor, torch and machine have no answer in `machine.json` yet, which takes
    a fraction of a second. A folder that cannot be written is no error: then every process measures.

    Args:
        folder: where answers are kept; by default the cache folder.
    """
    file = (folder or cache_folder()) / "machine.json"
    name = f"{processor()}, torch {torch.__version__}"
    answers = _read(file)
    if name not in answers:
        answers[name] = measured_share() < GAIN
        text = json.dumps(answers, indent=1, sort_keys=True)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, lambda stream: stream.write(text.encode()))
        except (OSError, SpliceError):
            pass
    return answers[name]


def measured_share(rounds: int = ROUNDS) -> float:
    """Time of forward and backward passes in bfloat16, as a share of that in float32.

    A feed-forward layer of a small ViT and a convolution of the generator, the two kinds of work that
    a step mostly consists of; the geometric mean of their shares. One thread works, and the fastest
    round counts, so that a busy machine gives the same answer as an idle one.
    """
    tokens, matrix = torch.rand(257, 384), torch.rand(384, 1536)
    maps, kernel = torch.rand(1, 72, 130, 130), torch.rand(32, 72, 3, 3)
    maps = maps.contiguous(memory_format=torch.channels_last)
    share, threads = 1.0, torch.get_num_threads()
    torch.set_num_threads(1)
    for function, inputs in ((torch.matmul, (tokens, matrix)), (F.conv2d, (maps, kernel))):
        times: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
        for _ in range(rounds):
            for dtype, seconds in times.items():
                seconds.append(_seconds(function, inputs, dtype))
        share *= (min(times[torch.bfloat16]) / min(times[torch.float32])) ** 0.5
    torch.set_num_threads(threads)
    return share


def processor() -> str:
    """The processor's name, as far as the operating system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or f"{os.cpu_count()} processors"


def _seconds(
    function: Callable[..., torch.Tensor], inputs: tuple[torch.Tensor, ...], dtype: torch.dtype
) -> float:
    first, second = (x.to(dtype).requires_grad_() for x in inputs)
    begun = time.perf_counter()
    function(first, second).sum().backward()
    return time.perf_counter() - begun


def _read(file: Path) -> dict[str, bool]:
    try:
        answers = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(answers, dict):
        return {}
    return {name: answer for name, answer in answers.items() if isinstance(answer, bool)}
