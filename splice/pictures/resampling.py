"""Resizing through which something is learnt: its gradient is summed in a fixed order on a GPU, too.

On the way back through torch's own resizing, a GPU adds to a pixel from many threads in whatever order
they come, so that no run is like another. Products with matrices of weights are summed in one order.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Mode = Literal["area", "bilinear", "bicubic"]


def resampled(
    images: Float[Tensor, "batch channels height width"],
    size: tuple[int, int],
    mode: Mode,
    antialias: bool = False,
) -> Float[Tensor, "batch channels rows columns"]:
    """Images at another size, as `torch.nn.functional.interpolate` makes them.

    Args:
        images: of any values.
        size: rows and columns.
        mode: of interpolation; corners are not aligned.
        antialias: whether what is shrunk is blurred first; of the mode `area` it always is.
    """
    if images.device.type == "cuda" and torch.is_grad_enabled() and images.requires_grad:
        return by_products(images, size, mode, antialias)
    return F.interpolate(images, size=size, mode=mode, antialias=antialias)


def by_products(
    images: Float[Tensor, "batch channels height width"],
    size: tuple[int, int],
    mode: Mode,
    antialias: bool = False,
) -> Float[Tensor, "batch channels rows columns"]:
    """The same by two products, on any device; all modes are separable.

    Args:
        images: of any values.
        size: rows and columns.
        mode: of interpolation.
        antialias: whether what is shrunk is blurred first.
    """
    down, across = (
        _weights(old, new, mode, antialias, images)
        for old, new in zip(images.shape[-2:], size, strict=True)
    )
    with torch.autocast(images.device.type, enabled=False):
        return down @ (images @ across.mT)


@torch.no_grad()
def _weights(
    old: int, new: int, mode: Mode, antialias: bool, like: Tensor
) -> Float[Tensor, "new old"]:
    """What each new pixel takes of each old one along a side."""
    # Made on the device, as its sizes change from step to step and the host would wait.
    each = torch.eye(old, device=like.device, dtype=like.dtype)[None, None]
    return F.interpolate(each, size=(new, old), mode=mode, antialias=antialias)[0, 0]
