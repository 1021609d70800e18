"""Appearance images in disguise: lessons of which the answer is known.

A picture whose colours, fine detail and pattern are changed is to be painted under its own condition as
it was. So the network learns from pixels what a condition says of colours and patterns. What the
transformer asks of other paintings teaches that slowly.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

WAVES, WAVE, HEIGHT = 4, 2.5, 0.3
"""How many waves a channel's map is made of, the deviation of their numbers in radians, and heights."""

FLAT, FLATTEST = 0.5, 12
"""Chance that fine detail is gone, and the picture's side over the widest that goes."""

PATTERNED, FINEST, COARSEST = 0.4, 3.0, 7.0
"""Chance of a pattern, its shortest period in pixels, and the picture's side over its longest."""


@torch.no_grad()
def disguised(
    picture: Float[Tensor, "3 side side"], random: torch.Generator
) -> Float[Tensor, "3 side side"]:
    """A picture perhaps without its detail, perhaps with a pattern, in other colours, in [0, 1].

    Args:
        picture: in [0, 1].
        random: on the CPU.
    """
    changed = picture
    if _between(0, 1, random) < FLAT:
        widest = max(1, picture.shape[-1] // FLATTEST // 2)
        reach = int(torch.randint(1, widest + 1, (), generator=random))
        changed = flattened(changed, reach, bright=_between(0, 1, random) < 0.5)
    waves = patterns(changed, random) if _between(0, 1, random) < PATTERNED else 0.0
    return (other_colours(changed, random) + waves).clamp(0, 1)


def flattened(
    picture: Float[Tensor, "3 rows columns"], reach: int, *, bright: bool
) -> Float[Tensor, "3 rows columns"]:
    """Without what is bright, or dark, and at most twice as wide as the reach: outlines stay.

    Morphological opening, or closing, by a square, and then some rounds of reconstruction, which give
    back what it took of the rims and corners of all else (Vincent, "Morphological Grayscale
    Reconstruction in Image Analysis", 1993). As many rounds as the reach has pixels, for stripes that
    touch the ground would come back by and by.

    Args:
        picture: of any values.
        reach: from the middle of the square to its border, in pixels.
        bright: whether what is bright goes, else what is dark.
    """
    sign = 1 if bright else -1
    whole = sign * picture[None]
    flat = -_grown(-whole, reach)
    for reached in (reach, *[1] * reach):
        flat = torch.minimum(_grown(flat, reached), whole)
    return sign * flat[0]


def _grown(
    picture: Float[Tensor, "1 3 rows columns"], reach: int
) -> Float[Tensor, "1 3 rows columns"]:
    """The largest value in a square around each pixel."""
    padded = F.pad(picture, (reach,) * 4, mode="replicate")
    return F.max_pool2d(padded, 2 * reach + 1, 1)


def patterns(
    picture: Float[Tensor, "3 rows columns"], random: torch.Generator
) -> Float[Tensor, "3 rows columns"]:
    """Stripes or spots to be added, stronger on some colours than on others; about 0 on the whole.

    Args:
        picture: in [0, 1], whose colours they heed.
        random: on the CPU.
    """
    rows, columns = picture.shape[1:]
    period = _between(FINEST, max(FINEST, rows / COARSEST), random)
    angle = _between(0, math.pi, random)
    y, x = torch.arange(rows)[:, None] / period, torch.arange(columns) / period
    wave = torch.sin(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)))
    if _between(0, 1, random) < 0.5:
        wave = wave * torch.sin(2 * math.pi * (y * math.cos(angle) - x * math.sin(angle)))
    numbers = WAVE * torch.randn(3, generator=random)
    strength = torch.sin((numbers[:, None, None] * picture).sum(0) + _between(0, 6.28, random))
    colour = 0.5 * torch.randn(3, 1, 1, generator=random)
    return colour * strength * torch.tanh(2 * wave)


def other_colours(
    picture: Float[Tensor, "3 rows columns"], random: torch.Generator
) -> Float[Tensor, "3 rows columns"]:
    """A smooth map of colours, drawn anew: like colours stay alike, others part or meet.

    Each channel is a sum of waves through the cube of colours, and of the channel itself. It may leave
    [0, 1].

    Args:
        picture: in [0, 1].
        random: on the CPU.
    """
    count = 3 * WAVES
    numbers = WAVE * torch.randn(count, 3, generator=random)
    phases = 2 * math.pi * torch.rand(count, 1, 1, generator=random)
    kept = _between(0, 1, random)
    waves = torch.sin(torch.einsum("wc,crk->wrk", numbers, picture) + phases)
    mapped = 0.5 + HEIGHT * waves.reshape(3, WAVES, *picture.shape[1:]).sum(1)
    return kept * picture + (1 - kept) * mapped


def _between(low: float | int, high: float | int, random: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=random))
