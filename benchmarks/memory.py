"""Measure a run's peak memory and the seconds of a step, by the size of the output.

    python benchmarks/memory.py --sizes 128 256 512 --device cpu --steps 6

Every size is measured in a process of its own, on a synthetic pair of aspect 4:3. Prints a Markdown
table; on a CUDA device the memory is the device's, else the process's.
"""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

import tyro


@dataclass(frozen=True)
class Options:
    """Measure a run's peak memory and the seconds of a step, by the size of the output."""

    sizes: tuple[int, ...] = (128, 256, 384, 512, 768, 1080)
    """Short sides of the output, in pixels."""
    preset: str = "default"
    """Preset to run."""
    device: str = "cpu"
    """Device to run on."""
    steps: int = 6
    """Steps to do; the first two are left out of the time."""
    only: bool = False
    """Measure the first size in this process, and print the numbers as JSON."""


def main(options: Options) -> None:
    """Print the table."""
    if options.only:
        print(json.dumps(measure(options, options.sizes[0])))
        return
    print("| short side | output | peak memory | seconds a step |\n|---:|---:|---:|---:|")
    for size in options.sizes:
        arguments = [f"--sizes={size}", f"--preset={options.preset}", f"--device={options.device}"]
        done = subprocess.run(
            [sys.executable, __file__, *arguments, f"--steps={options.steps}", "--only"],
            stdout=subprocess.PIPE,
            check=True,
        )
        found = json.loads(done.stdout)
        print(
            f"| {size} | {found['width']} x {size} | {found['bytes'] / 1e9:.2f} GB "
            f"| {found['seconds']:.2f} |",
            flush=True,
        )


def measure(options: Options, size: int) -> dict[str, float]:
    """Some steps and one picture of that size."""
    import torch

    from splice.device import find_device, peak_memory
    from splice.features import FrozenViT
    from splice.images import resize_short_side
    from splice.presets import load_preset
    from splice.transfer import Transfer

    device = find_device(options.device)
    settings = load_preset(options.preset, {"size": str(size), "device": options.device})
    generator = torch.Generator().manual_seed(0)
    pair = [resize_short_side(torch.rand(3, 24, 32, generator=generator), size) for _ in range(2)]
    vit = FrozenViT.load(settings.backbone, device=device)
    transfer = Transfer(pair[0], pair[1], settings, vit, device)
    seconds = []
    for step in transfer.steps():
        float(step.losses["total"])
        seconds.append(step.seconds)
        if step.step >= options.steps:
            break
    transfer.picture()
    peak = peak_memory(device)
    return {
        "width": pair[0].shape[2],
        "bytes": peak.get("device_bytes", peak["process_bytes"]),
        "seconds": statistics.median(seconds[2:] or seconds),
    }


if __name__ == "__main__":
    main(tyro.cli(Options))
