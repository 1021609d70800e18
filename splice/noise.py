"""Noise for every pixel of a picture, at several scales."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def octave_noise(
    height: int, width: int, octaves: int, generator: torch.Generator
) -> Float[Tensor, "1 octaves height width"]:
    """Independent normal noise, one channel an octave: grains of 1, 2, 4, … pixels, variance 1.

    Args:
        height: in pixels.
        width: in pixels.
        octaves: how many channels; 0 gives none.
        generator: on the CPU, so that the noise is the same on every device.
    """
    channels = []
    for octave in range(octaves):
        grain = 2**octave
        size = (1, 1, -(-height // grain) + 1, -(-width // grain) + 1)
        coarse = torch.randn(size, generator=generator)
        fine = F.interpolate(coarse, scale_factor=grain, mode="bilinear") if octave else coarse
        channels.append(fine[..., :height, :width] / fine.std())
    return torch.cat(channels, 1) if channels else torch.empty(1, 0, height, width)
