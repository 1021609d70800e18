"""Splice: semantic appearance transfer with a frozen vision transformer.

The names below are the public interface; each is loaded when it is first used, so that importing the
package, and asking the command for help, is immediate.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splice.analysis.scores.metrics import Scores, score
    from splice.backbones.features import Features, self_similarity
    from splice.backbones.frozen_vit import FrozenViT
    from splice.backbones.registry import Backbone, find_backbone
    from splice.errors import InputError, RunError, SpliceError
    from splice.method.generator import UNet
    from splice.method.settings import Settings
    from splice.method.step import Step
    from splice.method.transfer import Transfer
    from splice.method.views import View
    from splice.pictures.images import read_image, resize_short_side, to_pil, write_image
    from splice.pictures.pairs import Pair, plan_pairs
    from splice.running.one_pair import splice_pair
    from splice.running.presets import load_preset
    from splice.studies.inversion import InversionSettings, Inverted, invert

__version__ = "0.1.0"

_HOMES = {
    "backbones.registry": ("Backbone", "find_backbone"),
    "errors": ("InputError", "RunError", "SpliceError"),
    "backbones.features": ("Features", "self_similarity"),
    "backbones.frozen_vit": ("FrozenViT",),
    "method.generator": ("UNet",),
    "pictures.images": ("read_image", "resize_short_side", "to_pil", "write_image"),
    "studies.inversion": ("InversionSettings", "Inverted", "invert"),
    "analysis.scores.metrics": ("Scores", "score"),
    "running.one_pair": ("splice_pair",),
    "pictures.pairs": ("Pair", "plan_pairs"),
    "running.presets": ("load_preset",),
    "method.settings": ("Settings",),
    "method.step": ("Step",),
    "method.transfer": ("Transfer",),
    "method.views": ("View",),
}

__all__ = [
    "Backbone",
    "Features",
    "FrozenViT",
    "InputError",
    "InversionSettings",
    "Inverted",
    "Pair",
    "RunError",
    "Scores",
    "Settings",
    "SpliceError",
    "Step",
    "Transfer",
    "UNet",
    "View",
    "find_backbone",
    "invert",
    "load_preset",
    "plan_pairs",
    "read_image",
    "resize_short_side",
    "score",
    "self_similarity",
    "splice_pair",
    "to_pil",
    "write_image",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"splice.{module}"), name)
    raise AttributeError(f"module 'splice' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
