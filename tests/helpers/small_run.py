"""A run that takes moments: two small pictures and a tiny vision transformer made on the spot."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch
from PIL import Image

from splice.method.settings import Settings
from splice.running.inputs import Files

ROOT = Path(__file__).parents[2]
STAND_IN = str(ROOT / "tests" / "helpers" / "stand_in.py")


@dataclass(frozen=True)
class SmallRun:
    """Files of a pair and of weights, and the options that make a run of them small."""

    structure: Path
    appearance: Path
    weights: Path

    @property
    def files(self) -> Files:
        return Files.of(self.structure, self.appearance, Settings())

    @property
    def backbone(self) -> list[str]:
        """Options of the transformer alone."""
        return ["--backbone=timm:test_vit", f"--weights={self.weights}", "--device=cpu"]

    @property
    def options(self) -> list[str]:
        return [
            "--backbone=timm:test_vit",
            f"--weights={self.weights}",
            "--size=64",
            "--device=cpu",
            # All that the default preset does, on fewer patches.
            "--seen.short-side=64",
            "--meaning.short-side=64",
            "--meaning.channels=8",
            "--tones.parts=6",
        ]

    @property
    def arguments(self) -> list[str]:
        return [str(self.structure), str(self.appearance), *self.options]


def make(folder: Path) -> SmallRun:
    """Write the files into a folder."""
    weights = folder / "test_vit.safetensors"
    generator = torch.Generator().manual_seed(0)
    model = timm.create_model("test_vit", num_classes=0)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.05
        for name, value in model.state_dict().items()
    }
    safetensors.torch.save_file(state, weights)
    structure, appearance = folder / "structure.png", folder / "appearance.jpg"
    _picture(structure, 96, 72, seed=1)
    _picture(appearance, 70, 90, seed=2)
    return SmallRun(structure, appearance, weights)


def settings(small: SmallRun, **changes) -> Settings:
    """Those of a run in Python, as small as the stand-in's."""
    values = {"size": 64, "device": "cpu", "backbone": "timm:test_vit"}
    return Settings(**{**values, "weights": str(small.weights), **changes})


def _picture(path: Path, width: int, height: int, seed: int) -> None:
    """Smooth blobs of colour."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path)


def command(name: str = "transfer", *, stand_in: bool = False) -> list[str]:
    """The start of a command line: the real command, or with the stand-in for the optimisation."""
    return [sys.executable, *([STAND_IN] if stand_in else ["-m", "splice"]), name]


def environment(**changes: str) -> dict[str, str]:
    """For a process: this one's, with this checkout's package and a single thread."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **changes}
