"""Inversion of features: pictures painted back from what a vision transformer made of one.

In come a picture, a model and a kind of feature. Out comes a picture with those features.

`invert` is the whole in one call; `inversion_steps` is the loop, for those who want to watch.
Nothing is imported before it is asked for, as the settings must be readable without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from splice.studies.inversion.settings import InversionSettings, load_inversion_preset

if TYPE_CHECKING:
    from splice.studies.inversion.loop import InversionStep, inversion_steps
    from splice.studies.inversion.prior import DeepImagePrior
    from splice.studies.inversion.result import Inverted, invert
    from splice.studies.inversion.subjects import Subject
    from splice.studies.inversion.targets import represent

_HOMES = {
    "DeepImagePrior": "prior",
    "InversionStep": "loop",
    "Inverted": "result",
    "Subject": "subjects",
    "inversion_steps": "loop",
    "invert": "result",
    "represent": "targets",
}

MODULES = ("loop", "outcome", "run", "settings")
"""Modules that other rooms may use, beside the names below."""

__all__ = [
    "DeepImagePrior",
    "InversionSettings",
    "InversionStep",
    "Inverted",
    "Subject",
    "inversion_steps",
    "invert",
    "load_inversion_preset",
    "represent",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
