"""Noise of several grains, of which the generator can make what detail does not tell.

A snowfield has no detail that could become blades of grass, and a network that is given the same
everywhere paints the same everywhere. In the lesson the noise is another one each time, and tells
nothing. So it is of use only where the appearance image is full of detail and the other one empty.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

GRAINS = (1, 3, 9)
"""Pixels along a grain, a channel of noise for each."""


def draw_noise(
    size: Sequence[int], random: torch.Generator, device: torch.device
) -> Float[Tensor, "1 grains rows columns"]:
    """Noise of mean about 0 and deviation 1.

    Args:
        size: rows and columns.
        random: on the CPU.
        device: where the noise is needed.
    """
    rows, columns = size
    channels = []
    for grain in GRAINS:
        cells = (1, 1, -(-rows // grain) + 1, -(-columns // grain) + 1)
        drawn = normal(cells, random, device)
        if grain > 1:
            drawn = F.interpolate(drawn, scale_factor=grain, mode="bicubic", align_corners=False)
            drawn = drawn / drawn.std()
        channels.append(drawn[..., :rows, :columns])
    return torch.cat(channels, 1)


def normal(
    shape: Sequence[int], random: torch.Generator, device: torch.device
) -> Float[Tensor, "..."]:
    """Numbers of mean 0 and deviation 1.

    A GPU draws its own from a seed of the host's: millions of numbers would take the host longer than
    the rest of a step, and it would wait for them to be brought over.

    Args:
        shape: of the tensor.
        random: on the CPU.
        device: where the numbers are needed.
    """
    if device.type != "cuda":
        return torch.randn(*shape, generator=random).to(device)
    seed = int(torch.randint(2**62, (), generator=random))
    there = torch.Generator(device).manual_seed(seed)
    return torch.randn(*shape, generator=there, device=device)
