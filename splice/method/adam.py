"""Adam, for whatever is learnt on a picture."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.adam import adam

FUSED = ("cpu", "cuda")
"""Devices where all weights are changed in one pass over them."""


class Adam:
    """Adam (Kingma and Ba, 2015, algorithm 1) on some weights.

    The sums are torch's own. Its class for them is not taken, since the first one made in a process
    loads torch's compiler, which takes longer than ten steps.

    Attributes:
        weights: that are learnt.
        moments: by the names "exp_avg" and "exp_avg_sq", the running means of each weight's gradient
            and of its square.
        counts: how many steps each weight was learnt in, as float32.
    """

    def __init__(
        self, weights: Iterable[nn.Parameter], beta1: float = 0.9, beta2: float = 0.999
    ) -> None:
        """Starts with means of zero.

        Args:
            weights: that are to be learnt, all on one device.
            beta1: decay of the mean of gradients.
            beta2: decay of the mean of their squares.
        """
        self.weights = list(weights)
        self._betas = beta1, beta2
        self._fused = all(weight.device.type in FUSED for weight in self.weights)
        self.moments = {
            name: [torch.zeros_like(weight) for weight in self.weights]
            for name in ("exp_avg", "exp_avg_sq")
        }
        self.counts = [
            torch.zeros((), device=weight.device if self._fused else "cpu")
            for weight in self.weights
        ]

    @torch.no_grad()
    def step(self, rate: float, failed: Float[Tensor, ""] | None = None) -> None:
        """Changes the weights that have a gradient.

        Args:
            rate: the step size.
            failed: 1 where nothing is to change and 0 else, which the host need not know; on devices
                of `FUSED` alone.
        """
        some = self._some()

        def of(values: Sequence[Any]) -> list[Tensor]:
            return [values[i] for i in some]

        adam(
            of(self.weights),
            of([weight.grad for weight in self.weights]),
            of(self.moments["exp_avg"]),
            of(self.moments["exp_avg_sq"]),
            [],
            of(self.counts),
            fused=self._fused,
            found_inf=failed,
            amsgrad=False,
            beta1=self._betas[0],
            beta2=self._betas[1],
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def _some(self) -> list[int]:
        """Which weights Adam changes: those that have a gradient."""
        return [i for i, weight in enumerate(self.weights) if weight.grad is not None]

    def forget_gradients(self) -> None:
        """Leaves the weights without gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def restore(self, index: int, count: Tensor, mean: Tensor, square: Tensor) -> None:
        """Goes back to an earlier state of one weight.

        Args:
            index: of the weight.
            count: steps that it was learnt in.
            mean: of its gradients.
            square: mean of their squares.
        """
        # In place, as moments lie in memory as the weights do, so that sums run in the same order.
        for name, value in (("exp_avg", mean), ("exp_avg_sq", square)):
            self.moments[name][index].copy_(value)
        self.counts[index].copy_(count)
