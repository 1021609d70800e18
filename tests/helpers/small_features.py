"""Features drawn at random, and pictures of one colour."""

import torch
from PIL import Image


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def flat(colour: tuple[int, int, int], width: int = 40, height: int = 30) -> Image.Image:
    return Image.new("RGB", (width, height), colour)
