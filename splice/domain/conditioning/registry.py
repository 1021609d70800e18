"""The conditioning layers by name."""

import torch
from torch import nn

from splice.domain.conditioning.affine import Affine, Film
from splice.domain.conditioning.attention import Attention
from splice.domain.conditioning.bilinear import Bilinear, FullBilinear
from splice.domain.conditioning.concatenation import Concatenation
from splice.domain.conditioning.scbn import SemanticNormalisation
from splice.domain.conditioning.spatial import Spatial
from splice.errors import InputError

LAYERS = ("concatenation", "attention", "affine", "scbn", "film", "bilinear", "spatial")
"""Names of all layers."""

RANKED = {
    "concatenation": Concatenation,
    "affine": Affine,
    "scbn": SemanticNormalisation,
    "bilinear": Bilinear,
    "spatial": Spatial,
}
"""Layers that keep `rank` numbers of the condition within."""


def make_conditioning(
    name: str, channels: int, width: int, *, rank: int = 256, generator: torch.Generator
) -> nn.Module:
    """A layer that brings a condition into maps: layer(maps, condition) has the shape of the maps.

    Args:
        name: one of `LAYERS`.
        channels: of the maps.
        width: of the condition's sentence and words.
        rank: numbers that a layer keeps of the condition within: the products of `bilinear` (0 for its
            full form), the code of `concatenation`, the hidden layers of `affine`, `scbn` and
            `spatial`. `film` and `attention` have nothing of the kind.
        generator: of the weights.

    Raises:
        InputError: an unknown name, or a rank that the layer cannot have.
    """
    check_layer(name, rank)
    if name == "film":
        return Film(channels, width, generator=generator)
    if name == "attention":
        return Attention(channels, width, generator=generator)
    if name == "bilinear" and rank == 0:
        return FullBilinear(channels, width, generator=generator)
    return RANKED[name](channels, width, rank=rank, generator=generator)


def check_layer(name: str, rank: int) -> None:
    """Makes sure that there is such a layer.

    Raises:
        InputError: an unknown name, or a rank that the layer cannot have.
    """
    if name not in LAYERS:
        raise InputError(f"conditioning layer {name!r}: known are {', '.join(LAYERS)}")
    least = 0 if name == "bilinear" else 1
    if name in RANKED and rank < least:
        raise InputError(f"rank {rank} of the conditioning layer {name!r}: it is at least {least}")
