"""A photograph's detail: its brightness against its surroundings, whatever its light and colours.

The detail says where edges, hairs and leaves are, and neither what they are made of nor in which light
they stand. Two photographs of one kind have details of one kind, so what a network learns to make of
the one's it can make of the other's.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.objective import brightness


def detail_of(
    image: Float[Tensor, "1 3 height width"], radii: Sequence[int], faint: float
) -> Float[Tensor, "1 radii height width"]:
    """Brightness less its mean, over its deviation, in square windows around each pixel.

    Args:
        image: in [0, 1].
        radii: of the windows, in pixels, one map for each; at the border windows are smaller.
        faint: variance that is added to each window's, so that noise does not look like detail.
    """
    light = brightness(image)
    maps = []
    for radius in radii:
        mean, square = (_mean(x, radius) for x in (light, light * light))
        maps.append((light - mean) / ((square - mean**2).clamp_min(0) + faint).sqrt())
    return torch.cat(maps, 1)


def _mean(x: Tensor, radius: int) -> Tensor:
    """Of the pixels of a window that are inside, rows first."""
    side = 2 * radius + 1
    x = F.avg_pool2d(x, (1, side), 1, (0, radius), count_include_pad=False)
    return F.avg_pool2d(x, (side, 1), 1, (radius, 0), count_include_pad=False)


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
