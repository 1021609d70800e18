"""A tiny pair, and the default and the published method on it, to be measured."""

from typing import Any

import tiny
import torch

from splice.method.transfer import Transfer

STRUCTURE, APPEARANCE = tiny.picture(64, 96, seed=1), tiny.picture(72, 60, seed=2)
CPU = torch.device("cpu")


def default_transfer(**changes) -> Transfer:
    return Transfer(STRUCTURE, APPEARANCE, tiny.settings(**changes), tiny.frozen())


def published_transfer(**changes) -> Transfer:
    return Transfer(STRUCTURE, APPEARANCE, tiny.paper(**changes), tiny.frozen())


def draws_of(transfer: Transfer, monkeypatch) -> list[Any]:
    """What the method draws from now on, in its order."""
    drawn: list[Any] = []
    draw = transfer.method.draw
    monkeypatch.setattr(
        transfer.method, "draw", lambda *which: drawn.append(draw(*which)) or drawn[-1]
    )
    return drawn
