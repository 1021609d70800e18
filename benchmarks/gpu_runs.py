"""Parts of the GPU benchmark that are commands, as users give them: tests, one pair, many pairs."""

import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpu_scale import ROOT, Scale

Found = dict[str, Any]


def tests(scale: Scale) -> Iterator[Found]:
    """The tests marked `cuda`, one outcome each; all are skipped where there is no GPU."""
    with tempfile.TemporaryDirectory(prefix="splice-") as name:
        report = Path(name) / "tests.xml"
        # One process: several would share the GPU, and wait for each other.
        command = [sys.executable, "-m", "pytest", "-m", "cuda", "tests/running/test_cuda.py"]
        command += ["-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-rs"]
        done = subprocess.run([*command, f"--junitxml={report}"], cwd=ROOT)
        outcomes = {}
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            problem = next((child for child in case if child.tag in _PROBLEMS), None)
            said = "" if problem is None else f"{problem.tag}: {problem.get('message', '')[:600]}"
            outcomes[case.get("name", "")] = said or "passed"
    yield {"outcomes": outcomes, "exit_status": done.returncode}
    if done.returncode:
        raise RuntimeError(f"pytest ended with status {done.returncode}")


_PROBLEMS = ("skipped", "failure", "error")


def one_pair(scale: Scale) -> Iterator[Found]:
    """`splice transfer` with the preset `default`, from the start of the process to its end, twice.

    The first run of a machine pays for what the second finds ready: files in memory, and kernels.
    """
    with tempfile.TemporaryDirectory(prefix="splice-") as name:
        folder = Path(name)
        for turn in ("first", "second"):
            output = folder / turn
            command = ["transfer", *map(str, _sample()), f"--output={output}"]
            wall = _command(scale, folder, *command)
            record = json.loads((output / "run.json").read_text())
            kept = ("seconds", "seconds_per_step", "steps", "skipped_steps", "peak_memory")
            yield {turn: {"wall_seconds": wall, **{key: record[key] for key in kept}}}
        told = ("device", "versions", "precision", "output", "backbone", "memory_spared")
        yield {key: record[key] for key in told}


def many_pairs(scale: Scale) -> Iterator[Found]:
    """Pairs per hour of `splice batch`: one at a time, and many at once.

    One at a time is told from two pairs, many from as many as are worked on at once; both from the
    start of the command to its end, and, as a long batch sees them, without the start.
    """
    with tempfile.TemporaryDirectory(prefix="splice-") as name:
        folder = Path(name)
        found = {}
        for at_once in (1, scale.pairs, scale.pairs // 2):
            if at_once in found:
                continue
            pairs = _pairs(folder / f"pairs-{at_once}", max(2, at_once))
            output = folder / f"out-{at_once}"
            began = time.time()
            command = ["batch", str(pairs), f"--output={output}"]
            wall = _command(scale, folder, *command, f"--pairs-per-device={at_once}")
            found[at_once] = told = _told(output, at_once, wall, began)
            yield {f"{at_once}_at_once": told}
            share = told["pairs_per_hour"] / found[1]["pairs_per_hour"]
            yield {f"{at_once}_over_one": share}


def _told(output: Path, at_once: int, wall: float, began: float) -> Found:
    files = sorted(output.glob("*/run.json"))
    seconds = [json.loads(file.read_text())["seconds"] for file in files]
    ended = max(file.stat().st_mtime for file in files)
    # A pair of a long batch takes its place of the GPU for as long as its run says.
    return {
        "pairs": len(files),
        "wall_seconds": wall,
        "pairs_per_hour_with_start": 3600 * len(files) / wall,
        "seconds_of_each": seconds,
        "pairs_per_hour": 3600 * at_once / (sum(seconds) / len(seconds)),
        "last_ended_after": ended - began,
    }


def _command(scale: Scale, folder: Path, name: str, *arguments: str) -> float:
    """Seconds of a command of Splice with the preset `default`."""
    options = [f"--device={scale.device}", "--preset=default", "--quiet", *_options(scale, folder)]
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "splice", name, *arguments, *options],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def _options(scale: Scale, folder: Path) -> list[str]:
    """The settings of a rehearsal, with a tiny backbone made for it."""
    if not scale.tiny:
        return []
    weights = folder / "weights.safetensors"
    if not weights.exists():
        import safetensors.torch
        from gpu_steps import random_vit

        state = random_vit(scale.fine).state_dict()
        safetensors.torch.save_file(state, weights)
    changes = [f"--{name.replace('_', '-')}={value}" for name, value in scale.changes.items()]
    return [f"--backbone={scale.fine}", f"--weights={weights}", *changes]


def _sample() -> tuple[Path, Path]:
    from splice.pictures.pairs import plan_pairs
    from splice.pictures.samples import sample_pair

    folder = sample_pair()
    assert folder is not None
    pair = plan_pairs(folder).pairs[0]
    return pair.structure, pair.appearance


def _pairs(folder: Path, count: int) -> Path:
    """The sample pair, as many times."""
    for number in range(count):
        for part, picture in zip("AB", _sample(), strict=True):
            place = folder / f"{number:03}" / part
            place.mkdir(parents=True)
            os.link(_copied(folder, picture), place / picture.name)
    return folder


def _copied(folder: Path, picture: Path) -> Path:
    """A copy on the same disk, for links."""
    copy = folder.parent / picture.name
    if not copy.exists():
        copy.write_bytes(picture.read_bytes())
    return copy
