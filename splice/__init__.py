"""Splice: semantic appearance transfer with a frozen vision transformer.

The names below are the public interface; each is loaded when it is first used, so that importing the
package, and asking the command for help, is immediate.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splice.backbones import Backbone, find_backbone
    from splice.errors import InputError, RunError, SpliceError
    from splice.features import Features, FrozenViT, self_similarity
    from splice.generator import UNet
    from splice.images import read_image, resize_short_side, to_pil, write_image
    from splice.inversion import InversionSettings, Inverted, invert
    from splice.metrics import Scores, score
    from splice.one_pair import splice_pair
    from splice.pairs import Pair, plan_pairs
    from splice.presets import load_preset
    from splice.settings import Settings
    from splice.transfer import Step, Transfer
    from splice.views import View

__version__ = "0.1.0"

_HOMES = {
    "backbones": ("Backbone", "find_backbone"),
    "errors": ("InputError", "RunError", "SpliceError"),
    "features": ("Features", "FrozenViT", "self_similarity"),
    "generator": ("UNet",),
    "images": ("read_image", "resize_short_side", "to_pil", "write_image"),
    "inversion": ("InversionSettings", "Inverted", "invert"),
    "metrics": ("Scores", "score"),
    "one_pair": ("splice_pair",),
    "pairs": ("Pair", "plan_pairs"),
    "presets": ("load_preset",),
    "settings": ("Settings",),
    "transfer": ("Step", "Transfer"),
    "views": ("View",),
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
