"""The layers of the U-Net, with gradients that keep a layout and sum in a fixed order.

What torch has of them gives up the channels-last layout on the way back, or adds in any order on a
GPU. Each says what that costs.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def convolution_layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with a mirrored border, instance norm, LeakyReLU(0.2).

    Args:
        inputs: channels that it takes.
        outputs: channels that it gives.
        kernel: side of the convolution's kernel, 1 or 3 pixels; only 3 has a border.
        stride: pixels between two places of it.
    """
    return nn.Sequential(
        MirrorBorder() if kernel == 3 else nn.Identity(),
        # A bias would be taken away again by the instance norm after it.
        nn.Conv2d(inputs, outputs, kernel, stride, bias=False),
        InstanceNorm(outputs),
        nn.LeakyReLU(0.2, inplace=True),
    )


class InstanceNorm(nn.Module):
    """Each channel of each picture with mean 0 and variance 1, then scaled and shifted.

    For one picture this is batch norm in training mode, which keeps the channels-last layout. With
    torch's instance norm a step of the network takes 42 to 48 % longer on a CPU.
    """

    def __init__(self, channels: int) -> None:
        """Starts with scale 1 and shift 0."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The normalised channels; a channel of a single pixel becomes its shift."""
        if x.shape[-2:].numel() == 1:
            return (x - x) * self.weight[:, None, None] + self.bias[:, None, None]
        if len(x) == 1:
            return self._one(x)
        if x.device.type == "cpu":
            return torch.cat([self._one(picture) for picture in x.split(1)])
        return F.instance_norm(x, weight=self.weight, bias=self.bias)

    def _one(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True)


class MirrorBorder(nn.Module):
    """One pixel of border all around, mirrored about the outermost pixels.

    The same to the bit as torch's reflection padding, and as fast, on a CPU. On CUDA, torch's backward
    pass leaves the channels-last layout and sums in no fixed order.
    """

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height+2 width+2"]:
        """The maps with their border; a side of one pixel is repeated."""
        if min(x.shape[-2:]) < 2:
            return F.pad(x, (1, 1, 1, 1), mode="replicate")
        if torch.compiler.is_compiling():
            return F.pad(x, (1, 1, 1, 1), mode="reflect")
        return _MirrorBorder.apply(x)  # pyright: ignore[reportReturnType]


class _MirrorBorder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _bordered(x, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        rows = gradient[:, :, 1:-1].clone(memory_format=torch.channels_last)
        rows[:, :, 1] += gradient[:, :, 0]
        rows[:, :, -2] += gradient[:, :, -1]
        inner = rows[..., 1:-1].clone(memory_format=torch.channels_last)
        inner[..., 1] += rows[..., 0]
        inner[..., -2] += rows[..., -1]
        return inner


def doubled(
    x: Float[Tensor, "batch channels rows columns"],
) -> Float[Tensor, "batch channels height width"]:
    """Maps twice as high and wide, bilinearly."""
    if torch.compiler.is_compiling():
        # The compiler finds gradients and layouts by itself, and for sizes that are not known yet.
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return _Doubled.apply(x)  # pyright: ignore[reportReturnType]


class _Doubled(torch.autograd.Function):
    """Bilinear doubling, with a gradient that stays channels-last.

    What the gradient of `torch.cat` hands down is a slice of wider maps, for which torch's own backward
    pass leaves that layout: a step of the network then takes 8 to 14 % longer on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.size, ctx.on_gpu = list(x.shape), x.device.type == "cuda"
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if ctx.on_gpu:
            return undoubled(gradient)
        return torch.ops.aten.upsample_bilinear2d_backward(
            gradient.contiguous(memory_format=torch.channels_last),
            list(gradient.shape[-2:]),
            ctx.size,
            False,
            2.0,
            2.0,
        )


def undoubled(
    gradient: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels rows columns"]:
    """The gradient of maps whose bilinear doubling has this gradient.

    Along each side a value goes into four, as quarters of 1, 3, 3 and 1, which is three means of two
    after one another. A GPU sums that in a fixed order, and torch's own backward pass does not.
    """
    bordered = _bordered(gradient, 0)
    means = F.avg_pool2d(F.avg_pool2d(bordered, 2, 1), 2, 1)
    return 4 * F.avg_pool2d(means, 2, 2)


def _bordered(
    x: Float[Tensor, "batch channels height width"], inward: int
) -> Float[Tensor, "batch channels height+2 width+2"]:
    """Maps, channels-last, with a border of one pixel from so many pixels inside of the outermost.

    At 0 the outermost pixels are repeated, at 1 the maps are mirrored about them.
    """
    batch, channels, height, width = x.shape
    padded = torch.empty(
        (batch, channels, height + 2, width + 2),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )
    first, last = inward, -1 - inward
    padded[:, :, 1:-1, 1:-1] = x
    padded[:, :, 0, 1:-1], padded[:, :, -1, 1:-1] = x[:, :, first], x[:, :, last]
    padded[..., 0], padded[..., -1] = padded[..., 1 + first], padded[..., last - 1]
    return padded
