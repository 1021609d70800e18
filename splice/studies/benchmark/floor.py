"""The least that a step costs: its passes through generator and ViT, forward and back, no more."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from splice.backbones.precision import autocast_of
from splice.method.transfer import Transfer
from splice.studies.benchmark.stopwatch import Call, Calls, outputs


class Floor:
    """Repeats passes of a transfer's steps with random inputs and random gradients."""

    def __init__(self, transfer: Transfer) -> None:
        """Uses the transfer's own networks, in its precision; its weights are left as they are."""
        self.transfer = transfer
        self.random = torch.Generator().manual_seed(0)

    def prepare(self, calls: Calls) -> Callable[[], None]:
        """A function that makes the passes once; what it needs is made beforehand."""
        runs = [self._generator(call) for call in calls.generator]
        runs += [self._vit(call) for call in calls.vit]

        def run() -> None:
            for each in runs:
                each()

        return run

    def operations(self, calls: Calls) -> dict[str, float]:
        """Floating-point operations of the passes, of "generator" and "vit", forward and back.

        Matrix products and convolutions alone, a multiplication with its addition as two.
        """
        counts = {}
        runs = {"generator": self._generator, "vit": self._vit}
        for (name, make), passes in zip(runs.items(), (calls.generator, calls.vit), strict=True):
            prepared = [make(call) for call in passes]
            # Fused attention is not counted on every device; its plain form is.
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                for each in prepared:
                    each()
            counts[name] = float(counter.get_total_flops())
        return counts

    def _generator(self, call: Call) -> Callable[[], None]:
        transfer = self.transfer
        network = transfer.learner.network
        x = self._normal(call.shape).contiguous(memory_format=torch.channels_last)
        gradient = self._normal((call.shape[0], 3, *call.shape[2:]))

        def run() -> None:
            with autocast_of(transfer.device, transfer.dtype):
                painted = network(x)
            torch.autograd.backward(painted, gradient)
            network.zero_grad()

        return run

    def _vit(self, call: Call) -> Callable[[], None]:
        vit = self.transfer.method.vit
        images = self._normal(call.shape).requires_grad_()
        with torch.no_grad():
            found = outputs(vit(images, **call.wanted))
        gradients = [self._normal(tuple(x.shape)).to(x.dtype) for x in found]

        def run() -> None:
            torch.autograd.backward(outputs(vit(images, **call.wanted)), gradients)
            images.grad = None

        return run

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.random).to(self.transfer.device)
