"""Measure a run's peak memory and the seconds of a step, by the size of the output.

    python benchmarks/memory.py --sizes 128 256 512 --device cpu --steps 6

Every size is measured in a process of its own, on a synthetic pair of aspect 4:3. Prints a Markdown
table, a row as soon as it is known; on a CUDA device the memory is the device's, else the process's.
"""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Literal

from command import run_command


@dataclass(frozen=True)
class Options:
    """Measure a run's peak memory and the seconds of a step, by the size of the output."""

    sizes: tuple[int, ...] = (128, 256, 512, 1024, 2160)
    """Short sides of the output, in pixels."""
    preset: str = "default"
    """Preset to run."""
    device: str = "cpu"
    """Device to run on."""
    steps: int = 6
    """Steps of each kind to do; the first two, which warm up, are left out of the time."""
    spare: bool = False
    """Measure runs as they go on once memory has run out."""
    clock: Literal["wall", "process"] = "wall"
    """Seconds on the wall, or of all threads on the processor, for machines that others keep busy."""
    only: bool = False
    """Measure the first size in this process, and print the numbers as JSON."""


COLUMNS = (
    ("short side", "{size}"),
    ("output", "{width} x {size}"),
    ("peak memory", "{peak:.2f} GB"),
    ("the estimate", "{estimate:.2f} GB"),
    ("start", "{start:.1f} s"),
    ("a step", "{step:.2f} s"),
    ("the picture", "{picture:.1f} s"),
)


def main(options: Options) -> None:
    """Print the table."""
    if options.only:
        print(json.dumps(measure(options, options.sizes[0])))
        return
    print("| " + " | ".join(name for name, _ in COLUMNS) + " |\n" + "|---:" * len(COLUMNS) + "|")
    for size in options.sizes:
        arguments = [f"--sizes={size}", f"--preset={options.preset}", f"--device={options.device}"]
        arguments += [f"--steps={options.steps}", f"--clock={options.clock}"]
        arguments += ["--spare"] if options.spare else []
        command = [sys.executable, __file__, *arguments, "--only"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout)
        print("| " + " | ".join(form.format(**found) for _, form in COLUMNS) + " |", flush=True)


def measure(options: Options, size: int) -> dict[str, float]:
    """Some steps of each kind and one picture of that size: bytes / 1e9, and seconds of a mean step."""
    import torch

    from splice.backbones.frozen_vit import FrozenViT
    from splice.method.transfer import Transfer
    from splice.pictures.images import resize_short_side
    from splice.running.device import find_device, peak_memory
    from splice.running.memory import needed_memory
    from splice.running.presets import load_preset
    from splice.studies.benchmark.steps import kinds_of

    clock = time.perf_counter if options.clock == "wall" else time.process_time
    device = find_device(options.device)
    settings = load_preset(options.preset, {"size": str(size), "device": options.device})
    generator = torch.Generator().manual_seed(0)
    pair = [resize_short_side(torch.rand(3, 24, 32, generator=generator), size) for _ in range(2)]
    vit = FrozenViT.load(settings.backbone, device=device)
    begun = clock()
    transfer = Transfer(pair[0], pair[1], settings, vit, device)
    if options.spare:
        transfer.spare_memory()
    start = clock() - begun
    step, steps = 0.0, transfer.steps()
    for kind in kinds_of(transfer):
        seconds = []
        for turn in range(options.steps):
            transfer.step = kind.steps[turn % len(kind.steps)]
            begun = clock()
            float(next(steps).losses["total"])  # waits for the device
            seconds.append(clock() - begun)
        share = len(kind.steps) / transfer.settings.step_count
        step += statistics.median(seconds[2:] or seconds) * share
    begun = clock()
    height, width = transfer.output().cpu().shape[1:]
    picture = clock() - begun
    peak = peak_memory(device)
    return {
        "size": size,
        "width": width,
        "peak": peak.get("device_bytes", peak["process_bytes"]) / 1e9,
        "estimate": needed_memory(height, width, settings) / 1e9,
        "start": start,
        "step": step,
        "picture": picture,
    }


if __name__ == "__main__":
    run_command(main, Options)
