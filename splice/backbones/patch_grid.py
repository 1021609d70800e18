"""The grid of patches that a ViT cuts a picture into: sizes, positions and embeddings that fit it."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splice.errors import InputError
from splice.pictures.resampling import resampled


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
    return resampled(images, (rows, columns), "bicubic", antialias=True)


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


class PatchEmbedding(nn.Conv2d):
    """Patches as tokens: a convolution of its own stride, as one product, which goes back faster."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch patches channels"]:
        """The embedded patches, row by row; the patch divides both sides."""
        side = self.kernel_size[0]
        rows, columns = images.shape[-2] // side, images.shape[-1] // side
        cut = images.view(len(images), 3, rows, side, columns, side).permute(0, 2, 4, 1, 3, 5)
        patches = cut.reshape(len(images), rows * columns, -1)
        return F.linear(patches, self.weight.flatten(1), self.bias)

    @torch.no_grad()
    def fold(self, projection: Any, mean: Sequence[float], deviation: Sequence[float]) -> None:
        """Takes a projection's weights with the training mean and deviation: patches are in [0, 1]."""
        assert self.bias is not None
        weight = projection.weight.double()
        bias = 0.0 if projection.bias is None else projection.bias.double()
        shift, scale = (
            torch.tensor(v, dtype=torch.float64, device=weight.device)[None, :, None, None]
            for v in (mean, deviation)
        )
        self.weight.copy_(weight / scale)
        self.bias.copy_(bias - (weight * shift / scale).sum((1, 2, 3)))
