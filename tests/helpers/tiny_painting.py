"""A tiny pair, and the default method on it before its first step."""

import tiny
import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.method.settings import Settings
from splice.method.transfer import Transfer

STRUCTURE, APPEARANCE = tiny.picture(56, 66, 1), tiny.picture(60, 50, 2)


def make(
    vit: FrozenViT, settings: Settings | None = None, pair=(STRUCTURE, APPEARANCE)
) -> Transfer:
    return Transfer(*pair, settings or tiny.settings(), vit)


def stirred(transfer: Transfer) -> Transfer:
    """Its last layer paints something else than the grey that it starts from."""
    weight = transfer.learner.network.colours.weight
    torch.nn.init.normal_(weight, 0.0, 0.3, tiny.generator(5))
    return transfer
