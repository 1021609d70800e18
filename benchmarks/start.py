"""Seconds from the start of a process to its first picture and its first step, part by part.

    python benchmarks/start.py --rounds 3

The first picture is the toned one, which a run writes before it paints. Every round is a fresh
process, with the weights in the cache; medians over rounds. `--help` is timed likewise, as the
command starts without torch.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from command import run_command

from splice.errors import InputError
from splice.running.presets import load_preset

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "datasets" / "samples" / "mountains"
FIRST_STEP = "the rest of the preparation, first step"


@dataclass(frozen=True)
class Options:
    """Seconds from the start of a process to its first picture and its first step, part by part."""

    rounds: int = 3
    """Processes to start."""
    preset: str = "default"
    """Preset to run on the sample pair."""
    only: bool = False
    """Start in this process, and print the parts as JSON."""


def main(options: Options) -> None:
    """Start and print."""
    if options.only:
        print(json.dumps({"parts": start(options.preset), "ended": time.time()}))
        return
    if load_preset(options.preset).steps == 0:
        raise InputError(f"--preset {options.preset} has no steps; give one such as default.")
    helped, rounds = [], []
    for _ in range(options.rounds):
        helped.append(seconds_of([str(ROOT / "run_splice.py"), "--help"])[0])
        command = [__file__, f"--preset={options.preset}", "--only"]
        begun = time.time()  # the one clock that both processes read
        whole, output = seconds_of(command)
        found = json.loads(output)
        parts, to_step = found["parts"], found["ended"] - begun
        first = {"starting Python, the command line": to_step - sum(parts.values()), **parts}
        ends = {
            "start to the first picture": to_step - parts[FIRST_STEP],
            "start to the end of the first step": to_step,
            "ending the process": whole - to_step,
        }
        rounds.append({**first, **ends})
    print(f"{'run_splice.py --help':40} {statistics.median(helped):6.2f} s")
    for name in rounds[0]:
        print(f"{name:40} {statistics.median(each[name] for each in rounds):6.2f} s")


def seconds_of(arguments: list[str]) -> tuple[float, str]:
    """How long a Python process takes, and what it prints."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - begun, done.stdout.decode()


def start(preset: str) -> dict[str, float]:
    """The seconds of each part, to the end of the first step."""
    parts: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        parts[name] = time.perf_counter() - begun

    with part("importing torch"):
        import torch  # noqa: F401
    with part("other imports"):
        from splice.backbones.frozen_vit import FrozenViT
        from splice.method.transfer import Transfer
        from splice.running.device import find_device
        from splice.running.inputs import choose_size, read_at_most
    settings = load_preset(preset)
    files = [next((SAMPLE / side).iterdir()) for side in "AB"]
    device = find_device(settings.device)
    with part("reading the pictures"):
        size = choose_size(files[0], settings, device)
        pictures = [read_at_most(file, size) for file in files]
    with part("reading and folding the weights"):
        vit = FrozenViT.load(settings.backbone, device=device)
    with part("meaning of both pictures, tones"):
        transfer = Transfer(pictures[0], pictures[1], settings, vit, device)
    with part("the first picture"):
        transfer.output().cpu()
    with part(FIRST_STEP):
        float(next(transfer.steps()).losses["total"])
    return parts


if __name__ == "__main__":
    run_command(main, Options)
