"""Where weights come from: fetched, verified, converted, cached; or read from a file."""

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
