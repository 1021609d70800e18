"""Where weights come from: fetched, verified, converted and kept; or read from a file.

In comes the name of a model, or a file. Out come weights in timm's names, and where they are from.
"""

from splice.backbones.weights.architecture import as_timm
from splice.backbones.weights.catalogue import (
    WeightsCheck,
    WeightsState,
    check_weights,
    fetch_weights,
    list_weights,
    weights_path,
)
from splice.backbones.weights.loading import Provenance, load_vit
from splice.backbones.weights.progress import Progress

MODULES = ("cache",)
"""Modules that others may use, beside the names below."""

__all__ = [
    "Progress",
    "Provenance",
    "WeightsCheck",
    "WeightsState",
    "as_timm",
    "check_weights",
    "fetch_weights",
    "list_weights",
    "load_vit",
    "weights_path",
]
