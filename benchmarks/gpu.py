"""Measure what a GPU does with Splice, and write one JSON file.

    benchmarks/gpu.sh --output gpu.json
    benchmarks/gpu.sh --pack packed                 # where there is a network: see gpu_pack.py
    benchmarks/gpu.sh --packed packed               # where there is none
    benchmarks/gpu.sh --device cpu --rehearse       # the same parts, tiny

Every part runs in a process of its own, has a time limit of its own, and writes what it has as soon as
it has it. A part that fails or takes too long is noted with its error, and the next one begins. This
file needs nothing but Python: packages that are missing come out of the packed folder.
"""

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_pack

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Part:
    """One thing to measure.

    Attributes:
        name: of it, in the file.
        seconds: after which it is ended.
        place: module and function that measure it.
    """

    name: str
    seconds: float
    place: str


PARTS = (
    Part("tests", 110, "gpu_runs:tests"),
    Part("one_pair", 70, "gpu_runs:one_pair"),
    Part("paper", 110, "gpu_steps:paper"),
    Part("many_pairs", 110, "gpu_runs:many_pairs"),
    Part("compiled", 130, "gpu_steps:compiled"),
    Part("memory", 70, "gpu_steps:memory"),
    Part("profile", 50, "gpu_steps:profile"),
)
"""In the order in which they matter: what comes last is lost where time runs out."""

ALL_SECONDS = 460.0
"""After which no part goes on."""

PATIENCE = 4
"""A rehearsal may take so many times as long: a CPU that others use is no failure."""


def main(arguments: list[str]) -> int:
    """Measure, pack, or do one part.

    Returns:
        0, or 1 where a part failed.
    """
    options = _options().parse_args(arguments)
    if options.pack is not None:
        gpu_pack.pack(options.pack, options.python, options.wheels or list(gpu_pack.WHEELS))
        return 0
    if options.only is not None:
        only(next(part for part in PARTS if part.name == options.only), options)
        return 0
    return conduct(options)


def conduct(options: argparse.Namespace) -> int:
    """Run the parts, one after the other, and keep the file up to date."""
    begun, seconds = time.monotonic(), options.seconds * (PATIENCE if options.rehearse else 1)
    found: dict[str, Any] = {"rehearsal": options.rehearse, "device": options.device, "parts": {}}
    with tempfile.TemporaryDirectory(prefix="splice-") as name:
        folder = Path(name)
        variables, found["unpacked"] = gpu_pack.unpack(options.packed, folder / "site")
        paths = [str(ROOT), str(folder / "site"), os.environ.get("PYTHONPATH", "")]
        variables |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
        for part in PARTS:
            if options.parts and part.name not in options.parts:
                continue
            left = seconds - (time.monotonic() - begun)
            found["parts"][part.name] = did = _run(part, left, folder, variables, options)
            found["seconds"] = round(time.monotonic() - begun, 1)
            _write(options.output, found)
            print(f"== {part.name}: {did['state']} after {did['seconds']} s", flush=True)
    print(f"written: {options.output}", flush=True)
    return int(any(part["state"] != "done" for part in found["parts"].values()))


def only(part: Part, options: argparse.Namespace) -> None:
    """Do one part in this process, and write what it gives whenever it gives something."""
    module, function = part.place.split(":")
    found: dict[str, Any] = {}
    try:
        scale = importlib.import_module("gpu_scale").scale_of(options.device, options.rehearse)
        for more in getattr(importlib.import_module(module), function)(scale):
            found |= more
            _write(options.output, found)
            print("   ", json.dumps({k: v for k, v in more.items() if k[-5:] != "table"})[:400])
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
        found["traceback"] = traceback.format_exc()
        _write(options.output, found)
        sys.exit(f"{part.name} failed: {found['error']}")


def _run(
    part: Part,
    left: float,
    folder: Path,
    variables: dict[str, str],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """What a part gave, with how it ended."""
    patience = PATIENCE if options.rehearse else 1
    limit, file = min(part.seconds * patience, left), folder / f"{part.name}.json"
    if limit < 5:
        return {"state": "no time was left", "seconds": 0.0}
    print(f"== {part.name}, at most {limit:.0f} s", flush=True)
    command = [sys.executable, __file__, f"--only={part.name}", f"--output={file}"]
    command += [f"--device={options.device}", *(["--rehearse"] if options.rehearse else [])]
    begun = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **variables}, start_new_session=True)
    try:
        state = "done" if process.wait(limit) == 0 else f"failed with status {process.returncode}"
    except subprocess.TimeoutExpired:
        state = f"ended after {limit:.0f} s"
    finally:
        # What it has started ends with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    found = json.loads(file.read_text()) if file.is_file() else {}
    return {"state": state, "seconds": round(time.monotonic() - begun, 1), **found}


def _write(file: Path, found: dict[str, Any]) -> None:
    """Whole or not at all: the process may be ended at any moment."""
    unfinished = file.with_name(f"{file.name}.part")
    unfinished.write_text(json.dumps(found, indent=1) + "\n")
    unfinished.replace(file)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=Path("gpu.json"), help="file to write")
    parser.add_argument("--device", default="cuda", help="device to measure")
    parser.add_argument("--rehearse", action="store_true", help="do all parts, tiny")
    parser.add_argument("--packed", type=Path, help="folder that --pack has made")
    parser.add_argument(
        "--parts", nargs="+", choices=[part.name for part in PARTS], help="these alone"
    )
    parser.add_argument("--seconds", type=float, default=ALL_SECONDS, help="for all parts")
    parser.add_argument("--pack", type=Path, help="fetch wheels and weights into a folder, and end")
    parser.add_argument("--python", default="3.12", help="version that the wheels are fetched for")
    parser.add_argument(
        "--wheels", nargs="+", choices=list(gpu_pack.WHEELS), help="fetch these alone"
    )
    parser.add_argument("--only", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
