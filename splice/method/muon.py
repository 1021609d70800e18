"""Muon, for the convolutions of the generator: steps of the same length in every direction.

A picture is learnt in a few hundred steps, and Adam spends most of them on the few directions in which
gradients are large. Muon makes all singular values of a matrix of weights change alike (Jordan et al.,
"Muon: An optimizer for hidden layers in neural networks", 2024). In as many steps most terms of the
objective end lower (docs/quality.md).
"""

from collections.abc import Collection, Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from splice.method.adam import Adam

MOMENTUM = 0.9
"""Decay of the sum of gradients."""

LENGTH = 0.2
"""Root of the mean square of a change, in step sizes: about that of Adam's changes (Liu et al., "Muon
is scalable for LLM training", 2025, section 2.2)."""

ROUNDS, POLYNOMIAL = 5, (3.4445, -4.7750, 2.0315)
"""How often the odd polynomial a x + b x³ + c x⁵ is applied to singular values in [0, 1], and a, b, c.
They end between 0.68 and 1.14, but for those below a thousandth of their root mean square."""


class Muon(Adam):
    """Muon on some weights, Adam on the others.

    Of the weights that Muon changes, the moments "exp_avg" are sums of gradients; the others stay 0.
    torch's own class takes matrices alone, and loads torch's compiler as its Adam does.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        convolutions: Collection[Tensor],
        beta1: float = 0.9,
        beta2: float = 0.999,
    ) -> None:
        """Starts with sums of zero.

        Args:
            weights: that are to be learnt, all on one device.
            convolutions: those of them that Muon changes. Their scale should not matter, as where
                an instance norm follows.
            beta1: decay of Adam's mean of gradients.
            beta2: decay of its mean of their squares.
        """
        super().__init__(weights, beta1, beta2)
        known = {id(weight) for weight in convolutions}
        self._convolutions = [i for i, weight in enumerate(self.weights) if id(weight) in known]

    @torch.no_grad()
    def step(self, rate: float, failed: Float[Tensor, ""] | None = None) -> None:
        """Changes the weights that have a gradient, as `Adam.step` says."""
        changes = []
        for i in self._convolutions:
            weight, total = self.weights[i], self.moments["exp_avg"][i]
            if weight.grad is None:
                continue
            summed = MOMENTUM * total + weight.grad
            # Nesterov's: one step ahead of the sum.
            change = (weight.grad + MOMENTUM * summed).flatten(1)
            change = orthogonal(change) * LENGTH * max(change.shape) ** 0.5
            change = change.reshape(weight.shape)
            if failed is not None:
                kept = failed > 0
                summed, change = torch.where(kept, total, summed), torch.where(kept, 0.0, change)
            changes.append((weight, total, summed, change))
        # Only now, as a step that runs out of memory is done again from the same weights.
        for weight, total, summed, change in changes:
            total.copy_(summed)
            weight.sub_(change, alpha=rate)
        super().step(rate, failed)

    def _some(self) -> list[int]:
        return [i for i in super()._some() if i not in self._convolutions]


def orthogonal(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """About the orthogonal matrix that is nearest: U Vᵀ of its singular value decomposition U S Vᵀ.

    A polynomial in M Mᵀ, whose powers are small and square, times M. It takes less than half of the
    time of applying one to M itself.
    """
    lies = matrix.shape[0] <= matrix.shape[1]
    wide = matrix if lies else matrix.T
    wide = wide / wide.norm().clamp_min(1e-20)
    gram = wide @ wide.T
    factor = torch.eye(len(wide), dtype=wide.dtype, device=wide.device)
    a, b, c = POLYNOMIAL
    for _ in range(ROUNDS):
        # All of these are polynomials of one matrix, so their order does not matter.
        squared = gram @ gram
        gain = b * gram + c * squared
        gain.diagonal().add_(a)
        factor = gain @ factor
        gram = gain @ gram @ gain
    result = factor @ wide
    return result if lies else result.T
