"""The generator with norms that do not depend on the frame.

Instance norm takes mean and deviation of each picture away. Where something bright comes into sight,
all of the picture would change. So these numbers are those of the key frames, and a frame has them
mixed by how much each key frame lends to it.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splice.method.generator import UNet
from splice.method.layers import InstanceNorm


class SteadyNorm(nn.Module):
    """An instance norm that takes away what it is told to."""

    def __init__(self, norm: InstanceNorm) -> None:
        """Takes scale and shift from a norm, and has no numbers yet."""
        super().__init__()
        self.norm = norm
        self.means: list[Tensor] = []
        self.variances: list[Tensor] = []
        self.learns = True
        self.shares: Tensor | None = None

    def forward(
        self, x: Float[Tensor, "1 channels height width"]
    ) -> Float[Tensor, "1 channels height width"]:
        """The normed channels; while it learns, by the picture's own numbers, which are kept."""
        if x.shape[-2:].numel() == 1:
            return self.norm(x)
        if self.learns:
            variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
            self.means.append(mean)
            self.variances.append(variance)
            return self.norm(x)
        assert self.shares is not None
        means, shares = torch.stack(self.means), self.shares[:, None]
        mean = (shares * means).sum(0)
        variance = (shares * (torch.stack(self.variances) + (means - mean).square())).sum(0)
        return F.batch_norm(x, mean, variance, self.norm.weight, self.norm.bias)


class SteadyNetwork:
    """A generator as it paints the frames of a video."""

    @torch.no_grad()
    def __init__(
        self, network: UNet, key_frames: Sequence[Float[Tensor, "1 inputs height width"]]
    ) -> None:
        """Copies a generator, and remembers the numbers of its norms in the key frames.

        Args:
            network: with the weights to paint with.
            key_frames: what it is given of each.
        """
        self.network = deepcopy(network)
        self.norms = _steadied(self.network)
        for inputs in key_frames:
            self.network(inputs.contiguous(memory_format=torch.channels_last))
        for norm in self.norms:
            norm.learns = False

    @torch.no_grad()
    def paint(
        self,
        inputs: Float[Tensor, "1 inputs height width"],
        shares: Float[Tensor, " key_frames"],
    ) -> Float[Tensor, "1 3 height width"]:
        """A frame, in [0, 1].

        Args:
            inputs: what the generator is given of it.
            shares: how much each key frame lends to it; their sum is 1.
        """
        for norm in self.norms:
            norm.shares = shares
        return self.network(inputs.contiguous(memory_format=torch.channels_last))


def _steadied(network: nn.Module) -> list[SteadyNorm]:
    """Puts a steady norm in the place of every instance norm."""
    norms = []
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, InstanceNorm):
                norms.append(SteadyNorm(child))
                setattr(module, name, norms[-1])
    return norms
