"""A stand-in for the optimisation, where only the plumbing around it is tested.

It keeps the contract of `splice.method.transfer`: seeded, resumable, one record a step. Run as a
program it is the command `splice` with the stand-in in place of the optimisation.
"""

import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Step:
    step: int
    steps: int
    losses: Mapping[str, Any]
    seconds: float
    skipped: bool
    precision: str
    output: Any = None
    note: str = ""


class Transfer:
    """Moves the picture towards the appearance's mean colour, with noise of a seeded generator."""

    def __init__(self, structure: Tensor, appearance: Tensor, settings, vit, device) -> None:
        self.settings = settings
        self.goal = appearance.mean(dim=(1, 2))[:, None, None]
        self.image = structure.clone()
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.step, self.sparing = 0, False

    def steps(self) -> Iterator[Step]:
        while self.step < self.settings.steps:
            noise = torch.randn(self.image.shape, generator=self.generator)
            self.image = (self.image + 0.05 * (self.goal - self.image) + 0.02 * noise).clamp(0, 1)
            self.step += 1
            losses: dict[str, Any] = {"colour": (self.image - self.goal).square().mean()}
            if self.step % 3 == 0:
                losses["entire"] = float(self.step)
            output = self.output
            yield Step(self.step, self.settings.steps, losses, 0.01, False, "float32", output)

    def picture(self) -> Tensor:
        return self.image

    def output(self) -> Tensor:
        return self.image

    def state(self) -> dict[str, Any]:
        return {"image": self.image, "noise": self.generator.get_state(), "step": self.step}

    def restore(self, state: dict[str, Any]) -> None:
        self.image, self.step = state["image"], state["step"]
        self.generator.set_state(state["noise"])


def module() -> types.ModuleType:
    """What `import splice.method.transfer` gives with the stand-in in its place."""
    stand_in = types.ModuleType("splice.method.transfer")
    stand_in.Transfer, stand_in.Step = Transfer, Step  # type: ignore[attr-defined]
    return stand_in


if __name__ == "__main__":
    sys.modules["splice.method.transfer"] = module()
    from splice.commands.cli import main

    sys.exit(main())
