"""A domain that is learnt in moments: a few rendered scenes and a tiny vision transformer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import small_run
import tiny
import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.domain.model import DomainModel, new_model
from splice.domain.neighbours import Neighbours
from splice.domain.pictures import find_domain
from splice.domain.scenes import write_scenes
from splice.domain.settings import DomainSettings, domain_settings
from splice.domain.store import PictureStore

SIDE = 32


@dataclass(frozen=True)
class SmallDomain:
    """A folder of scenes, and the options that make a training of it small."""

    folder: Path
    weights: Path

    @property
    def options(self) -> list[str]:
        return [
            str(self.folder),
            "--backbone=timm:test_vit",
            f"--weights={self.weights}",
            "--device=cpu",
            *(f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()),
        ]


SMALL: dict[str, Any] = {
    "size": SIDE,
    "precision": "fp32",
    "seen": 64,
    "steps": 6,
    "batch": 4,
    "neighbours": 5,
    "outliers": 0,
    "parameters": 60_000,
    "rank": 8,
    "parts": 2,
    "warm_up": 2,
    "previews_every": 2,
    "previews": 2,
    "text.width": 16,
    "text.steps": 3,
    "text.batch": 4,
}
"""Settings of the command line; with the tiny transformer of `tiny`, 56 pixels are seen."""


def make(folder: Path, *, train: int = 8, test: int = 3) -> SmallDomain:
    """Writes the files into a folder."""
    run = small_run.make(folder)
    write_scenes(folder / "scenes", train, test, SIDE, seed=1)
    return SmallDomain(folder / "scenes", run.weights)


def settings(**changes: Any) -> DomainSettings:
    """For training in the same process, with `tiny.frozen()`; dots are written `__`."""
    small = {**SMALL, "seen": tiny.SIDE, "device": "cpu"}
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return domain_settings({**small, **changed})


def neighbours(count: int) -> Neighbours:
    """All pictures near each other."""
    near = [[other for other in range(count) if other != index] for index in range(count)]
    return Neighbours(
        torch.arange(count),
        torch.tensor(near),
        torch.zeros(0, dtype=torch.long),
        torch.zeros(count),
    )


def model(
    folder: Path, vit: FrozenViT | None = None, **changes: Any
) -> tuple[DomainModel, PictureStore]:
    """A model with first weights for a folder of scenes, of which colours are drawn at random."""
    store = PictureStore(find_domain(folder).pictures, SIDE)
    made = new_model(
        settings(**changes),
        vit or tiny.frozen(),
        store,
        neighbours(len(store)),
        torch.device("cpu"),
    )
    # The network starts from the picture whatever it is told; here it is to depend on everything.
    random = tiny.generator(7)
    with torch.no_grad():
        weight = made.network.colours.weight
        weight.copy_(torch.randn(weight.shape, generator=random))
    return made, store
