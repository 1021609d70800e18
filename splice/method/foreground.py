"""What a photograph shows in front: one side of the best cut through its patches.

Patches of like tokens hang together. A cut through as little of that as possible, for what either side
has of it, parts an animal from its meadow (Wang et al., "Self-Supervised Transformers for Unsupervised
Object Discovery using Normalized Cut", CVPR 2022). The side with less of the picture's border is in
front.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.method.masks import HALF
from splice.method.semantics import unmirrored
from splice.pictures.bilateral import bilateral_upsampling
from splice.pictures.images import resize_short_side

SHORT_SIDE, LONG_SIDE = 336, 672
"""In pixels, at which a picture is seen, at most."""

UNLIKE = 1e-5
"""How much patches hang together whose tokens point apart; those that point alike, 1."""

SOFT = (0.3, 0.7)
"""Shares of the foreground around a pixel, between which its mask rises from 0 to 1."""


@torch.no_grad()
def find_foreground(
    vit: FrozenViT,
    photograph: Float[Tensor, "1 3 height width"],
    short_side: int = SHORT_SIDE,
) -> Float[Tensor, "height width"]:
    """How much each pixel belongs to what is in front, in [0, 1], with the photograph's edges.

    Args:
        vit: the frozen transformer, whose deepest patch tokens are compared.
        photograph: in [0, 1].
        short_side: in pixels, at which it is seen.

    Raises:
        InputError: nothing stands out.
    """
    small = resize_short_side(photograph[0], min(short_side, *photograph.shape[-2:]))[None]
    seen = vit(
        torch.cat([small, small.flip(-1)]),
        tokens=[vit.blocks],
        short_side=short_side,
        long_side=LONG_SIDE,
    )
    tokens = unmirrored(seen.tokens[vit.blocks], seen.grid)
    front = in_front(best_cut(tokens).view(seen.grid))
    share = bilateral_upsampling(front.to(small)[None, None], small)
    low, high = SOFT
    mask = ((share - low) / (high - low)).clamp(0, 1)
    mask = F.interpolate(mask, size=photograph.shape[-2:], mode="bilinear").clamp(0, 1)[0, 0]
    if not bool((mask >= HALF).any()):
        raise InputError(
            "nothing stands out in the structure image; leave --keep-background out, or give a mask."
        )
    return mask


def best_cut(tokens: Float[Tensor, "patches width"]) -> Bool[Tensor, " patches"]:
    """Which patches lie on one side of the cut that is about least, for what either side has in all.

    Patches hang together by 1 if their tokens, less the mean, point alike, else by `UNLIKE`. The second
    eigenvector of (D - A) y = λ D y tells the sides, parted at its mean (Shi and Malik, "Normalized
    Cuts and Image Segmentation", 2000, eq. 11).
    """
    unit = F.normalize(tokens - tokens.mean(0), dim=1).double().cpu()
    together = torch.where(unit @ unit.T > 0, 1.0, UNLIKE).double()
    scale = together.sum(1).rsqrt()
    # y = D^-1/2 v, v being the second eigenvector of I - D^-1/2 A D^-1/2, with the second largest value
    # of the product that is taken off.
    _, vectors = torch.linalg.eigh(scale[:, None] * together * scale)
    sides = scale * vectors[:, -2]
    return sides > sides.mean()


def in_front(side: Bool[Tensor, "rows columns"]) -> Bool[Tensor, "rows columns"]:
    """Of a side and the other, the one that has less of the patches along the border."""
    border = torch.cat([side[0], side[-1], side[1:-1, 0], side[1:-1, -1]]).double().mean()
    return ~side if border > HALF else side
