"""Smooth pictures to score, and scores that nobody measured."""

from pathlib import Path

import torch

from splice.analysis.scores.metrics import Scores
from splice.pictures.images import write_image


def save(path: Path, height: int, width: int, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 5, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0]
    write_image(path, image.clamp(0, 1))
    return path


def made_up(colour: list[float], texture: list[float]) -> dict[str, Scores]:
    return {
        f"p{n}": Scores(
            self_sim=0.01 * n, dino_i=0.5, texture=t, colour=c, layout=1.0, artefacts=0.3
        )
        for n, (c, t) in enumerate(zip(colour, texture, strict=True))
    }
