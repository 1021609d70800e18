"""The network of a domain as it learns: its weights, their average, and Muon.

The average of the weights over the last steps paints cleaner pictures than the weights of any one step.
It is what a model keeps.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from splice.domain.parallel import World, average_gradients
from splice.method.muon import Muon

BETA1, BETA2 = 0.5, 0.99
"""Decays of Adam's means, as in the paper."""

FULL_UNTIL, LAST = 0.6, 0.05
"""Share of the steps with the full step size, and the share of it that is left at the end."""


class Learner:
    """A network, and perhaps one that reads captions, with everything that learning needs.

    Attributes:
        network: that paints, with the weights of the last step.
        reader: that reads captions, if there is one; it has no average.
        average: averaged weights of the network, in the order of its parameters.
    """

    def __init__(
        self,
        network: nn.Module,
        matrices: Collection[Tensor],
        reader: nn.Module | None,
        average: float,
        world: World,
    ) -> None:
        """Starts from the weights that the networks have.

        Args:
            network: that paints.
            matrices: weights of it that Muon changes; all others are changed by Adam.
            reader: that reads, or none.
            average: share of the past in the average.
            world: of processes that learn together; the network's own gradients are averaged by
                `splice.domain.parallel.averaging`.
        """
        self.network, self.reader, self._past, self._world = network, reader, average, world
        self.average = [weight.detach().clone() for weight in network.parameters()]
        weights = [weight for _, weight in self._named()]
        self.optimiser = Muon(weights, matrices, BETA1, BETA2)

    def learn(self, total: Float[Tensor, ""], rate: float, step: int) -> Bool[Tensor, ""]:
        """One step of the optimiser and of the average, if everything is finite.

        Args:
            total: the loss, with its graph.
            rate: the step size.
            step: steps of painting done before; -1 while the reader learns alone.

        Returns:
            Whether loss and gradients were finite; if not, nothing was learnt.
        """
        self.optimiser.forget_gradients()
        total.backward()
        if self.reader is not None:
            average_gradients(list(self.reader.parameters()), self._world)
        gradients = [weight.grad for weight in self.optimiser.weights if weight.grad is not None]
        norms = torch.stack([gradient.norm() for gradient in gradients])
        # The loss is each process's own, the gradients are everyone's: so all decide alike.
        finite = torch.isfinite(norms.sum())
        if not bool(finite):
            return finite
        self.optimiser.step(rate)
        if step >= 0:
            # Early on the average would still be mostly the first weights.
            kept = min(self._past, (step + 1) / (step + 10))
            with torch.no_grad():
                for average, weight in zip(self.average, self.network.parameters(), strict=True):
                    average.lerp_(weight, 1 - kept)
        return finite

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """While it lasts, the network has the averaged weights."""
        weights = list(self.network.parameters())
        live = [weight.detach().clone() for weight in weights]
        _copy(weights, self.average)
        try:
            yield
        finally:
            _copy(weights, live)

    def state(self) -> dict[str, Any]:
        """Weights, their average and the optimiser's moments, by name."""
        state: dict[str, Any] = {}
        for index, (name, weight) in enumerate(self._named()):
            state[f"weight {name}"] = weight.detach().clone()
            state[f"step {name}"] = self.optimiser.counts[index].clone()
            for moment, values in self.optimiser.moments.items():
                state[f"{moment} {name}"] = values[index].clone()
        for index, average in enumerate(self.average):
            state[f"average {index}"] = average.clone()
        return state

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state that `state` gave.

        Raises:
            KeyError, RuntimeError: it is the state of other networks.
        """
        for index, (name, weight) in enumerate(self._named()):
            weight.copy_(state[f"weight {name}"])
            moments = (state[f"{kind} {name}"] for kind in ("step", *self.optimiser.moments))
            self.optimiser.restore(index, *moments)
        for index, average in enumerate(self.average):
            average.copy_(state[f"average {index}"])

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        parts = {"network": self.network, "reader": self.reader}
        return [
            (f"{part}.{name}", weight)
            for part, module in parts.items()
            if module is not None
            for name, weight in module.named_parameters()
        ]


def factor_at(progress: float, step: int, warm_up: int) -> float:
    """The factor of the step size: rising, then full, then falling along a straight line.

    Args:
        progress: share of the steps that are done.
        step: steps that are done.
        warm_up: steps until the full step size.
    """
    rising = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
    falling = (1 - progress) / (1 - FULL_UNTIL)
    return rising * (1.0 if progress < FULL_UNTIL else LAST + (1 - LAST) * falling)


@torch.no_grad()
def _copy(weights: list[nn.Parameter], values: list[Tensor]) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.copy_(value)
