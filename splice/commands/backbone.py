"""The backbone that a command line names, loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from splice.commands.progress import Silent
from splice.method.settings import Settings

if TYPE_CHECKING:
    from splice.backbones.frozen_vit import FrozenViT


def load_backbone(settings: Settings, told: Silent | None = None) -> FrozenViT:
    """The backbone of these settings on their device.

    Args:
        settings: that name it, its weights, and the device.
        told: is told of a download, if there is one.

    Raises:
        SpliceError: it is not known, or its weights cannot be had.
    """
    from splice.backbones.frozen_vit import FrozenViT
    from splice.running.device import find_device

    return FrozenViT.load(
        settings.backbone,
        device=find_device(settings.device),
        weights=settings.weights,
        progress=None if told is None else told.fetching,
    )
