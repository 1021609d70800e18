"""What the generator paints over: the colours to come, under the detail that is there.

A network that starts from grey has to find every leaf and whisker again, and a few hundred steps leave
brush strokes where they were. Painters lay down a first layer of colour that keeps the drawing; here
it is the picture itself, whose smooth part is exchanged for that of the collage. The generator adds to
it, in the logits of colours, and begins with nothing to add.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from splice.semantics import GUIDED_SIDE, guided_upsampling

TOLERANCE = 0.01
"""Variance of colour below which a window counts as flat, and what is in it as detail."""

RADIUS_SIDE = 256
"""Short side, in pixels, of the picture in which radii are counted."""

DARKEST = 0.02
"""Least colour of an underpainting, and how far its lightest is from 1: logits stay small."""


def smooth_part(
    maps: Float[Tensor, "1 channels height width"],
    guide: Float[Tensor, "1 3 height width"],
    radius: int,
) -> Float[Tensor, "1 channels height width"]:
    """What is left of maps without detail: a guided filter, which keeps the picture's outlines.

    Args:
        maps: of any values; the result is linear in them.
        guide: the picture, in [0, 1].
        radius: of the windows, in pixels of a picture with a short side of `RADIUS_SIDE`.
    """
    side = min(*guide.shape[-2:], GUIDED_SIDE)
    return guided_upsampling(maps, guide, max(1, round(radius * side / RADIUS_SIDE)), TOLERANCE)


def underpainting(
    colours: Float[Tensor, "1 3 height width"],
    detail: Float[Tensor, "1 3 height width"],
) -> Float[Tensor, "1 3 height width"]:
    """Logits of smooth colours together with a picture's detail.

    Args:
        colours: smooth ones, about in [0, 1].
        detail: what a picture has beside its smooth part.
    """
    return torch.logit((colours + detail).clamp(DARKEST, 1 - DARKEST))
