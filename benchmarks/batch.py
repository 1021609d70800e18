"""Measure what a batch costs beyond its pairs, and what planning many pairs takes.

    python benchmarks/batch.py --pairs 3 --preset quick --rows 10000

The overhead is the wall time of `splice batch`, from the start of the command to its end, over the sum
of the seconds of its runs: start-up, loading of the backbone, journal, and whatever lies between two
pairs. Most of it is spent once, so its share falls with more pairs and more steps. Planning reads a
manifest with settings in every row, opens the two pictures of each, and looks for earlier runs; it is
measured in a process of its own. Pictures are made up. Prints a Markdown table.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command import run_command

SIDES = (512, 384)


@dataclass(frozen=True)
class Options:
    """Measure what a batch costs beyond its pairs, and what planning many pairs takes."""

    pairs: int = 3
    """Pairs of the batch; 0 to measure planning alone."""
    preset: str = "quick"
    """Preset to run them with."""
    steps: int | None = None
    """Steps of each pair; the preset's by default."""
    device: str = "auto"
    """Device to run them on."""
    threads: int | None = None
    """CPU threads of the worker; all by default. There is one worker."""
    rows: int = 10_000
    """Rows of the manifest to plan; 0 to measure the batch alone."""
    json: Path | None = None
    """File to write the numbers to."""
    plan_only: Path | None = None
    """Plan this manifest in this process, and print the numbers as JSON."""


def main(options: Options) -> None:
    """Print the table."""
    if options.plan_only is not None:
        print(json.dumps(plan(options.plan_only)))
        return
    found: dict[str, dict[str, Any]] = {}
    rows = []
    with tempfile.TemporaryDirectory(prefix="splice-") as name:
        folder = Path(name)
        if options.pairs:
            batch = found["batch"] = measure_batch(folder, options)
            rows += [
                (f"{options.pairs} pairs: wall time", f"{batch['wall']:.1f} s"),
                ("sum of the pairs", f"{batch['runs']:.1f} s"),
                ("until the first pair begins", f"{batch['start']:.1f} s"),
                ("overhead", f"{batch['overhead']:.1f} s, {batch['share']:.1%}"),
            ]
        if options.rows:
            planned = found["planning"] = measure_planning(folder, options.rows)
            rows += [
                (f"planning of {planned['pairs']:,} rows", f"{planned['seconds']:.1f} s"),
                ("CPU time of it", f"{planned['cpu_seconds']:.1f} s"),
                ("its peak memory", f"{planned['bytes'] / 1e6:.0f} MB"),
                ("memory before it", f"{planned['bytes_before'] / 1e6:.0f} MB"),
            ]
    print("| | |\n|---|---:|")
    for what, value in rows:
        print(f"| {what} | {value} |")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def measure_batch(folder: Path, options: Options) -> dict[str, float]:
    """Seconds of a batch in one process, from its start to its end, and of its runs."""
    for number in range(options.pairs):
        for part in "AB":
            place = folder / "pairs" / f"{number:03}" / part
            place.mkdir(parents=True)
            write_picture(place / "picture.jpg", 2 * number + (part == "B"))
    output = folder / "out"
    command = [sys.executable, "-m", "splice", "batch", str(folder / "pairs"), "--quiet"]
    command += [f"--output={output}", f"--preset={options.preset}", f"--device={options.device}"]
    command += ["--workers=1", *([f"--steps={options.steps}"] if options.steps else [])]
    command += [f"--threads={options.threads}"] if options.threads else []
    begun, begun_at = time.monotonic(), time.time()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.monotonic() - begun
    records = [json.loads(path.read_text()) for path in sorted(output.glob("*/run.json"))]
    runs = sum(record["seconds"] for record in records)
    ends = [path.stat().st_mtime for path in output.glob("*/run.json")]
    first = min(end - record["seconds"] for end, record in zip(sorted(ends), records, strict=True))
    overhead = wall - runs
    return {
        "wall": wall,
        "runs": runs,
        "start": first - begun_at,
        "overhead": overhead,
        "share": overhead / runs,
    }


def measure_planning(folder: Path, rows: int) -> dict[str, float]:
    """Seconds and memory of planning a manifest, in a process of its own."""
    place = folder / "pictures"
    place.mkdir()
    for number in range(20):
        write_picture(place / f"{number}.jpg", number)
    manifest = folder / "pairs.csv"
    with manifest.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["structure", "appearance", "steps", "objective.structure"])
        for row in range(rows):
            names = []
            for part in ("structure", "appearance"):
                # A name of its own for each, so that none is looked at only once.
                name = place / f"{part}-{row}.jpg"
                os.link(place / f"{(row + 7 * (part == 'appearance')) % 20}.jpg", name)
                names.append(f"pictures/{name.name}")
            table.writerow([*names, 100 + row % 50, 1 + row % 3 / 10])
    done = subprocess.run(
        [sys.executable, __file__, "--plan-only", str(manifest)],
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def plan(manifest: Path) -> dict[str, float]:
    """Plan as `splice batch` does."""
    from functools import partial

    import torch

    from splice.batch import plan_batch, settings_of
    from splice.method.settings import Settings
    from splice.pictures.pairs import plan_pairs
    from splice.running.device import peak_memory

    before = peak_memory(torch.device("cpu"))["process_bytes"]
    settings = Settings()
    begun, worked = time.monotonic(), time.process_time()
    pairs = plan_pairs(manifest, check_settings=partial(settings_of, settings)).pairs
    planned = plan_batch(pairs, settings, manifest.parent / "nothing-yet")
    return {
        "pairs": len(planned.tasks),
        "seconds": time.monotonic() - begun,
        "cpu_seconds": time.process_time() - worked,
        "bytes": peak_memory(torch.device("cpu"))["process_bytes"],
        "bytes_before": before,
    }


def write_picture(path: Path, seed: int) -> None:
    """Smooth blobs of colour."""
    import torch

    from splice.pictures.images import write_image

    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(seed))
    size = (SIDES[1], SIDES[0])
    image = torch.nn.functional.interpolate(coarse, size, mode="bicubic")[0]
    write_image(path, image.clamp(0, 1))


if __name__ == "__main__":
    run_command(main, Options)
