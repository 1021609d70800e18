"""A photograph's detail, which is its brightness against its surroundings, and its colours without it.

The detail says where edges, hairs and leaves are, and neither what they are made of nor in which light
they stand. Two photographs of one kind have details of one kind, so what a network learns to make of
the one's it can make of the other's.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.generator import PALEST
from splice.method.objective import brightness
from splice.pictures.bilateral import bilateral_upsampling
from splice.pictures.guided_filter import window_functions, window_mean

GUIDES = 3
"""Channels of addresses that tell what is usual."""

UNLIKE = 0.01
"""Variance of these channels below which a window is of one kind."""


def detail_of(
    image: Float[Tensor, "1 3 height width"],
    radii: Sequence[int],
    faint: float,
    address: Float[Tensor, "1 channels height width"] | None = None,
) -> Float[Tensor, "1 radii height width"]:
    """Brightness less what is usual around, over its deviation, in square windows around each pixel.

    What is usual is the mean of the window, or, where addresses are given, the affine function of
    their first three channels that is nearest: a dark ridge below a bright sky is then no detail. In
    another picture the ridge may be the brighter one, and would leave a rim of light.

    Args:
        image: in [0, 1].
        radii: of the windows, in pixels, one map for each.
        faint: variance that is added to each window's, so that noise does not look like detail.
        address: of the pixels.
    """
    light = brightness(image)
    maps = []
    for radius in (min(radius, (min(image.shape[-2:]) - 1) // 2) for radius in radii):
        if address is None or radius == 0:
            rest = light - window_mean(light, radius)
        else:
            guide = address[:, :GUIDES]
            offset, slopes = window_functions(light, guide, radius, UNLIKE)
            rest = light - offset - (torch.cat(slopes, 1) * guide).sum(1, keepdim=True)
        maps.append(rest / (window_mean(rest * rest, radius) + faint).sqrt())
    return torch.cat(maps, 1)


def without_detail(
    image: Float[Tensor, "1 3 height width"], grid: tuple[int, int]
) -> Float[Tensor, "1 3 height width"]:
    """Logits of a picture's colours, the means of its patches brought to its edges.

    Args:
        image: in [0, 1].
        grid: rows and columns of patches.
    """
    means = F.interpolate(image, size=grid, mode="area")
    return bilateral_upsampling(means, image).clamp(PALEST, 1 - PALEST).logit()


def foreign_detail(
    details: Sequence[Float[Tensor, "1 radii _ _"]], size: Sequence[int], random: torch.Generator
) -> Float[Tensor, "1 radii rows columns"]:
    """A piece of one of some pictures' details, at a random place, perhaps mirrored.

    Added to a picture's own detail it teaches a network how much detail to believe, and where: on a
    wall none, in fur much.

    Args:
        details: to take from; a picture that is too small is repeated.
        size: rows and columns of the piece.
        random: on the CPU.
    """
    choice, mirrored = (torch.rand(2, generator=random) * torch.tensor([len(details), 2])).long()
    source = details[int(choice)]
    source = source.flip(-1) if mirrored else source
    starts = [int(torch.randint(side, (), generator=random)) for side in source.shape[-2:]]
    for axis, (start, length) in enumerate(zip(starts, size, strict=True), start=2):
        places = torch.arange(start, start + length, device=source.device)
        source = source.index_select(axis, places % source.shape[axis])
    return source
