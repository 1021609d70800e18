"""A batch that takes moments: pair folders, and a preset with the cheapest of all runs."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import small_run

from splice.batch import plan_batch
from splice.batch.work import Backbones, carry_out
from splice.method.settings import Settings
from splice.pictures.pairs import plan_pairs
from splice.running.presets import load_preset

PRESET = """
backbone: timm:test_vit
method: paper  # which prepares nothing
size: 32
steps: {steps}
device: cpu
precision: fp32
seen: {{short_side: 32}}
objective: {{identity: 0, nearest: 0, colour: 0, edges: 0, gamut: 0, palette: 0}}
"""


@dataclass(frozen=True)
class SmallBatch:
    """Files of a batch, and its options."""

    pairs: Path
    preset: Path
    weights: Path

    @property
    def options(self) -> list[str]:
        return [f"--preset={self.preset}", f"--weights={self.weights}"]

    def settings(self, **changes) -> Settings:
        return load_preset(self.preset, {"weights": str(self.weights), **changes})

    def damage(self, name: str) -> None:
        """Cut a pair's appearance image short: its header is whole, its pixels are not there."""
        picture = self.pairs / name / "B" / "appearance.jpg"
        content = picture.read_bytes()
        picture.write_bytes(content[: len(content) // 2])


def make(folder: Path, names: str = "abc", *, steps: int = 4) -> SmallBatch:
    """Write the files of a batch into a folder; all pairs are of the same two pictures."""
    run = small_run.make(folder)
    for name in names:
        for part, picture in (("A", run.structure), ("B", run.appearance)):
            (folder / "pairs" / name / part).mkdir(parents=True)
            shutil.copy(picture, folder / "pairs" / name / part)
    preset = folder / "small.yaml"
    preset.write_text(PRESET.format(steps=steps))
    return SmallBatch(folder / "pairs", preset, run.weights)


def planned(small, output, *, resume=False, **changes):
    pairs = plan_pairs(small.pairs).pairs
    return plan_batch(pairs, small.settings(**changes), output, resume=resume)


def do_task(task, *, steps=None, heard=None, backbones=None):
    """Do one task in this process, or the first `steps` of it."""
    heard = [] if heard is None else heard
    backbones = backbones or Backbones()
    return carry_out(
        task,
        lambda: backbones.get(task.settings),
        tell=heard.append,
        stop=lambda: steps is not None and len(heard) > steps,
        tell_every=0.0,
        checkpoint_every=0.0,
    )
