"""A folder of outputs as a batch leaves it: finished, unfinished and failed pairs."""

import sys
from dataclasses import dataclass
from pathlib import Path

import small_run
import stand_in
from PIL import Image

from splice.batch import Ended, Journal
from splice.method.settings import Settings
from splice.running.outputs import RunFolder
from splice.running.run import Run

STEPS = 12


@dataclass(frozen=True)
class SmallOutputs:
    """The folder, the two pictures that all pairs are of, and another system's pictures."""

    folder: Path
    structure: Path
    appearance: Path
    rival: Path


def make(folder: Path, monkeypatch) -> SmallOutputs:
    """Pairs `2` and `10` finished (the second by another seed), `11` unfinished, `12` failed."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())
    small = small_run.make(folder)
    outputs, rival = folder / "outputs", folder / "rival"
    rival.mkdir()
    for name, seed, stop_at in (("2", 0, None), ("10", 5, None), ("11", 0, 4)):
        settings = Settings(
            backbone="timm:test_vit",
            weights=str(small.weights),
            size=64,
            steps=STEPS,
            seed=seed,
            device="cpu",
        )
        seen: list[int] = []
        with RunFolder(outputs / name) as held:
            Run(small.files, settings, held).proceed(
                watch=lambda step, seen=seen: seen.append(step.step),
                stop=lambda seen=seen, last=stop_at: 1 if seen[-1] == last else None,
            )
    with Journal(outputs) as journal:
        journal.add(Ended("2", "finished", STEPS, 1.0))
        journal.add(Ended("12", "failed", reason="night<b>.jpg is damaged & <i>cut</i> short."))
    for name in ("2", "10"):
        Image.new("RGB", (85, 64), (200, 30, 90)).save(rival / f"{name}.png")
    return SmallOutputs(outputs, small.structure, small.appearance, rival)
