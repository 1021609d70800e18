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
    size: Sequence[int], random: torch.Generator
) -> Float[Tensor, "1 grains rows columns"]:
    """Noise of mean about 0 and deviation 1.

    Args:
        size: rows and columns.
        random: on the CPU, where the noise is as well.
    """
    rows, columns = size
    channels = []
    for grain in GRAINS:
        cells = (1, 1, -(-rows // grain) + 1, -(-columns // grain) + 1)
        drawn = torch.randn(cells, generator=random)
        if grain > 1:
            drawn = F.interpolate(drawn, scale_factor=grain, mode="bicubic", align_corners=False)
            drawn = drawn / drawn.std()
        channels.append(drawn[..., :rows, :columns])
    return torch.cat(channels, 1)
