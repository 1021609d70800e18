"""The grid of patches that a ViT cuts a picture into: sizes and positions that fit it."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError


def resize_to_patches(
    images: Float[Tensor, "batch 3 height width"],
    patch: int,
    short_side: int | None = 224,
    long_side: int | None = 480,
) -> Float[Tensor, "batch 3 rows columns"]:
    """The images at the size that the ViT takes: antialiased bicubic, differentiable.

    The short side becomes `short_side`, the long side follows the aspect up to `long_side`, and both
    are rounded to multiples of the patch (the long side's limit downwards).

    Raises:
        InputError: `short_side` is None and the patch does not divide the sides.
    """
    height, width = images.shape[-2:]
    if short_side is None:
        if height % patch or width % patch:
            raise InputError(
                f"an image of {width}×{height} px is not cut evenly by patches of {patch} px; "
                "give a short side to resize to"
            )
        return images
    scale = short_side / min(height, width)
    limit = float("inf") if long_side is None else long_side // patch * patch
    rows, columns = (
        max(patch, int(min(round(side * scale / patch) * patch, limit))) for side in (height, width)
    )
    if (rows, columns) == (height, width):
        return images
    return F.interpolate(
        images, size=(rows, columns), mode="bicubic", align_corners=False, antialias=True
    )


def resampled_positions(
    positions: Float[Tensor, "1 tokens width"],
    old: tuple[int, int],
    new: tuple[int, int],
    first: int,
) -> Float[Tensor, "1 others width"]:
    """Position embeddings for another grid of patches: antialiased bicubic, as timm resamples them.

    Args:
        positions: of the first tokens, then of the patches, row by row.
        old: rows and columns of patches that they are for.
        new: rows and columns of patches that are wanted.
        first: tokens before the patches, whose positions stay.
    """
    if old == new:
        return positions
    on_grid = positions[:, first:].unflatten(1, old).permute(0, 3, 1, 2)
    on_grid = F.interpolate(on_grid, size=new, mode="bicubic", align_corners=False, antialias=True)
    return torch.cat([positions[:, :first], on_grid.flatten(2).transpose(1, 2)], 1)
