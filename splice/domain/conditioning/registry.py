"""The conditioning layers by name."""

import torch
from torch import nn

from splice.domain.conditioning.film import Film
from splice.errors import InputError

LAYERS = ("concatenation", "attention", "affine", "scbn", "film", "bilinear", "spatial")
"""Names of all layers."""


def make_conditioning(
    name: str, channels: int, width: int, *, rank: int = 256, generator: torch.Generator
) -> nn.Module:
    """A layer that brings a condition into maps: layer(maps, condition) has the shape of the maps.

    Args:
        name: one of `LAYERS`.
        channels: of the maps.
        width: of the condition's sentence and words.
        rank: numbers that a layer keeps of the condition within.
        generator: of the weights.

    Raises:
        InputError: an unknown name.
    """
    check_layer(name)
    return Film(channels, width, generator=generator)


def check_layer(name: str) -> None:
    """Raises an InputError for a name that no layer has."""
    if name not in LAYERS:
        raise InputError(f"conditioning layer {name!r}: known are {', '.join(LAYERS)}")
