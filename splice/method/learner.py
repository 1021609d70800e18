"""The generator as it learns: its weights, their average, and what changes them.

The average of the weights over the last steps paints cleaner pictures than the weights of any one
step: what the random views push back and forth cancels.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from splice.backbones.precision import autocast_of
from splice.method.adam import Adam
from splice.method.bands import paint_in_bands
from splice.method.generator import UNet
from splice.method.muon import Muon
from splice.method.setting_values import factor_at
from splice.method.settings import Settings

BETA2 = 0.99
"""Decay of Adam's mean of squares, as in the paper."""

HALF_PRECISION_SCALE = 2.0**12
"""Float16 rounds gradients of single pixels to nothing unless the loss is scaled up."""


class Learner:
    """A generator with everything that its training needs.

    Attributes:
        network: the U-Net, with the weights of the last step.
        weights: of the network, by name.
        average: the averaged weights, in the same order.
        optimiser: what changes the weights: Muon, or Adam in the published method.
        waits: whether the host looks at every step before it changes weights; if not, the device
            itself leaves them as they are where a loss or gradient is not finite.
    """

    def __init__(self, inputs: int, settings: Settings, device: torch.device) -> None:
        """Draws the first weights.

        Args:
            inputs: channels of what the network is given.
            settings: of the run; its seed gives the same first weights on every device.
            device: where to compute.
        """
        self._settings, self.device = settings, device
        self.network = UNet(
            inputs,
            skip=settings.generator.skip,
            start="paper" if settings.method == "paper" else "rectifier",
            from_colours=settings.method == "painting",
            generator=torch.Generator().manual_seed(settings.seed),
        ).to(device)
        self.network = self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.weights = dict(self.network.named_parameters())
        self.average = [weight.detach().clone() for weight in self.weights.values()]
        self.optimiser = self._new_optimiser()
        self.waits = device.type != "cuda"

    def _new_optimiser(self) -> Adam:
        weights, betas = self.weights.values(), (self._settings.optimiser.beta1, BETA2)
        if self._settings.method == "paper":
            return Adam(weights, *betas)
        # Those without a bias have an instance norm after them.
        layers = (layer for layer in self.network.modules() if isinstance(layer, nn.Conv2d))
        return Muon(weights, [layer.weight for layer in layers if layer.bias is None], *betas)

    def paint(
        self, inputs: list[Float[Tensor, "1 inputs ..."]], dtype: torch.dtype
    ) -> list[Float[Tensor, "1 3 ..."]]:
        """Pictures in [0, 1] for inputs, in one pass for all inputs of the same size.

        Where memory is spared, every input has a pass of its own.

        Args:
            inputs: what the network is given, 1 × inputs × height × width each.
            dtype: precision of the convolutions.
        """

        def paint(x: Tensor) -> Tensor:
            return self.network(x.contiguous(memory_format=torch.channels_last))

        with autocast_of(self.device, dtype):
            if self.network.sparing:
                return [paint(x) for x in inputs]
            return batched(paint, inputs)

    def paint_in_bands(
        self,
        read: Callable[[int, int], Float[Tensor, "1 inputs rows width"]],
        height: int,
        width: int,
        dtype: torch.dtype,
    ) -> Float[Tensor, "1 3 height width"]:
        """A picture in [0, 1] for an input of any size, of which `read` gives rows from and to."""
        with autocast_of(self.device, dtype):
            return paint_in_bands(self.network, read, height, width)

    def learn(
        self, total: Float[Tensor, ""], progress: float, step: int, half: bool
    ) -> Bool[Tensor, ""]:
        """One step of the optimiser and of the average, if everything is finite.

        Args:
            total: the loss, with its graph.
            progress: of the run in [0, 1], for the schedule of the step size.
            step: steps done before.
            half: whether gradients are computed in float16.

        Returns:
            Whether loss and gradients were finite, on the device; if not, nothing was learnt.
        """
        self.optimiser.forget_gradients()
        if not total.requires_grad:
            # No term counted at this step.
            return torch.ones((), dtype=torch.bool, device=self.device)
        scale = HALF_PRECISION_SCALE if half else 1.0
        (total * scale).backward()
        weights = list(self.weights.values())
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if half:
            for gradient in gradients:
                gradient.div_(scale)
        norms = torch.stack([gradient.norm() for gradient in gradients])
        finite = torch.isfinite(norms.sum() + total.detach())
        if self.waits and not bool(finite):
            return finite
        chosen = self._settings.optimiser
        rate = chosen.learning_rate * factor_at(chosen.schedule, progress)
        self.optimiser.step(rate, None if self.waits else (~finite).float())
        # Early on the average would still be mostly the first weights.
        kept = min(self._settings.generator.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for average, weight in zip(self.average, weights, strict=True):
                learnt = weight if self.waits else torch.where(finite, weight, average)
                average.lerp_(learnt, 1 - kept)
        return finite

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """While it lasts, the network has the averaged weights."""
        weights = list(self.weights.values())
        live = [weight.detach().clone() for weight in weights]
        self._copy(weights, self.average)
        try:
            yield
        finally:
            self._copy(weights, live)

    def state(self) -> dict[str, Any]:
        """Weights, their average and the optimiser's moments, by name."""
        state: dict[str, Any] = {}
        for i, (name, weight) in enumerate(self.weights.items()):
            state[f"weight {name}"] = weight.detach().clone()
            state[f"average {name}"] = self.average[i].clone()
            state[f"step {name}"] = self.optimiser.counts[i].clone()
            for moment, values in self.optimiser.moments.items():
                state[f"{moment} {name}"] = values[i].clone()
        return state

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state that `state` gave.

        Raises:
            KeyError, RuntimeError: it is the state of another network.
        """
        for i, (name, weight) in enumerate(self.weights.items()):
            weight.copy_(state[f"weight {name}"])
            self.average[i].copy_(state[f"average {name}"])
            self.optimiser.restore(
                i, *(state[f"{kind} {name}"] for kind in ("step", *self.optimiser.moments))
            )

    @staticmethod
    @torch.no_grad()
    def _copy(weights: list[Any], values: list[Tensor]) -> None:
        for weight, value in zip(weights, values, strict=True):
            weight.copy_(value)


def batched(
    function: Callable[[Float[Tensor, "batch channels height width"]], Any],
    images: list[Float[Tensor, "1 channels ..."]],
) -> list[Any]:
    """The function's results for single images, called once for all that have the same size.

    Args:
        function: of a batch; its result is cut by rows.
        images: 1 × channels × height × width each.
    """
    results: list[Any] = [None] * len(images)
    for size in {tuple(image.shape): None for image in images}:
        members = [i for i, image in enumerate(images) if tuple(image.shape) == size]
        together = function(torch.cat([images[i] for i in members]))
        for row, i in enumerate(members):
            results[i] = together[row : row + 1]
    return results
