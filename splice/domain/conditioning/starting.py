"""Where a layer's weights start, and the small networks that layers share."""

import math
from collections.abc import Iterable

import torch
from torch import nn


@torch.no_grad()
def draw(module: nn.Module, generator: torch.Generator) -> None:
    """Draws the weights of all linear maps and convolutions inside, uniform within ±1/√(fan-in).

    This is what torch does by itself, from a generator of one's own and with biases of 0.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(part.weight[0].numel())
            part.weight.uniform_(-bound, bound, generator=generator)
            if part.bias is not None:
                part.bias.zero_()


@torch.no_grad()
def draw_uniform(weights: Iterable[nn.Parameter], bound: float, generator: torch.Generator) -> None:
    """Draws weights uniform within ±bound."""
    for weight in weights:
        weight.uniform_(-bound, bound, generator=generator)


class Perceptron(nn.Sequential):
    """Two linear maps with ReLU between, c ↦ A·max(0, B c + b) + a, where a starts at `around`."""

    def __init__(
        self,
        width: int,
        hidden: int,
        outputs: int,
        *,
        around: float,
        generator: torch.Generator,
    ) -> None:
        """Draws the weights.

        Args:
            width: of c.
            hidden: numbers between the two maps.
            outputs: numbers that come out.
            around: what comes out for a c of which nothing is known yet.
            generator: of the weights.
        """
        first, second = nn.Linear(width, hidden), nn.Linear(hidden, outputs)
        super().__init__(first, nn.ReLU(), second)
        draw(self, generator)
        nn.init.constant_(second.bias, around)


def linear(width: int, outputs: int, *, around: float, generator: torch.Generator) -> nn.Linear:
    """A linear map of the condition, whose outputs start near `around`."""
    made = nn.Linear(width, outputs)
    draw(made, generator)
    nn.init.constant_(made.bias, around)
    return made
