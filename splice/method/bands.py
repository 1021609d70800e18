"""The generator on a picture of any size: band by band, and yet the same picture as in one piece.

A network with instance norm cannot paint tiles by themselves: each tile would be normalised by its own
mean and variance, and neighbours would not meet. So every layer goes over the whole picture before the
next one begins. It reads the layer before it in bands of a few rows, with the rows around them that its
convolution reaches, and counts mean and variance of the whole along the way. Only what a 3×3
convolution gives is kept; all else is made again whenever a band of it is read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splice.method.generator import UNet
from splice.method.layers import InstanceNorm

BAND_PIXELS = 2**18
"""About how many pixels of a map are worked on at once."""

EPSILON = 1e-5
"""What torch's normalisations add to the variance."""


@dataclass(frozen=True)
class Maps:
    """Maps of a layer, made or read when rows of them are asked for.

    `read(top, bottom)` gives rows top up to bottom, 1 × channels × (bottom - top) × width.
    """

    height: int
    width: int
    read: Callable[[int, int], Tensor]

    def bands(self) -> Iterator[tuple[int, int]]:
        """Rows from and to, of all bands in order."""
        rows = max(1, BAND_PIXELS // self.width)
        for top in range(0, self.height, rows):
            yield top, min(top + rows, self.height)

    def then(self, function: Callable[[Tensor], Tensor]) -> "Maps":
        """What a function of single pixels makes of these maps."""
        return Maps(self.height, self.width, lambda top, bottom: function(self.read(top, bottom)))


@torch.no_grad()
def paint_in_bands(
    network: UNet,
    read: Callable[[int, int], Float[Tensor, "1 inputs rows width"]],
    height: int,
    width: int,
) -> Float[Tensor, "1 3 height width"]:
    """What `network` paints for an input, with the memory of a part of it.

    The same as in one piece, up to the rounding of means and variances.

    Args:
        network: the generator.
        read: gives rows from one up to another of the network's input.
        height: of the input, in pixels.
        width: likewise.
    """
    given = maps = _padded(Maps(height, width, read), 2**network.levels)
    skips = []
    for encoder, skip in zip(network.encoders, network.skips, strict=True):
        skips.append(_layer(skip, maps))
        for layer in _parts(encoder):
            maps = _layer(layer, maps)
    for decoder in network.decoders:
        norm, *layers = _parts(decoder)
        maps = _normalised(norm, _joined(_doubled(maps), skips.pop()))
        for layer in layers:
            maps = _layer(layer, maps)
    picture = None
    for top, bottom in maps.bands():
        colours = network.coloured(maps.read(top, bottom), given.read(top, bottom))
        if picture is None:
            picture = colours.new_empty(1, colours.shape[1], height, width)
        picture[:, :, top:bottom] = colours[:, :, : max(0, height - top), :width]
    assert picture is not None
    return picture


def _parts(module: nn.Module) -> list[Any]:
    assert isinstance(module, nn.Sequential)
    return list(module)


def _layer(layer: nn.Module, maps: Maps) -> Maps:
    """Convolution, norm over the whole, activation; the convolution's result is kept if it is 3×3."""
    _, convolution, norm, activation = _parts(layer)
    if convolution.kernel_size == (1, 1):
        return _normalised(norm, maps.then(convolution)).then(activation)
    stride = convolution.stride[0]
    height, width = maps.height // stride, maps.width // stride
    kept, statistics = None, _Statistics(norm)
    for top, bottom in Maps(height, width, maps.read).bands():
        convolved = convolution(_bordered(maps, top * stride - 1, (bottom - 1) * stride + 2))
        if kept is None:
            kept = convolved.new_empty(1, height, width, convolved.shape[1]).movedim(-1, 1)
        kept[:, :, top:bottom] = convolved
        statistics.count(convolved)
    assert kept is not None
    whole = kept
    result = Maps(height, width, lambda top, bottom: whole[:, :, top:bottom])
    return result.then(statistics.norm).then(activation)


def _normalised(norm: InstanceNorm, maps: Maps) -> Maps:
    statistics = _Statistics(norm)
    for top, bottom in maps.bands():
        statistics.count(maps.read(top, bottom))
    return maps.then(statistics.norm)


class _Statistics:
    """Mean and variance of every channel, of bands together (Chan, Golub, LeVeque, 1979, eq. 2.1)."""

    def __init__(self, layer: InstanceNorm) -> None:
        self.layer, self.pixels = layer, 0
        self.mean = self.squares = torch.zeros((), dtype=torch.float64)

    def count(self, band: Float[Tensor, "1 channels rows width"]) -> None:
        wide = band.to(self.layer.weight.dtype)
        # Not every device has float64.
        variance, mean = (
            value.cpu().double() for value in torch.var_mean(wide, dim=(0, 2, 3), correction=0)
        )
        pixels = band.shape[-2] * band.shape[-1]
        together = self.pixels + pixels
        apart = mean - self.mean
        between = apart.square() * self.pixels * pixels / together
        self.squares = self.squares + variance * pixels + between
        self.mean = self.mean + apart * pixels / together
        self.pixels = together

    def norm(self, x: Float[Tensor, "1 channels rows width"]) -> Tensor:
        """The layer's norm of some rows, with the statistics of all that was counted."""
        weight, bias = self.layer.weight, self.layer.bias
        mean = self.mean.to(weight.dtype).to(weight.device)
        variance = (self.squares / self.pixels).to(weight.dtype).to(weight.device)
        return F.batch_norm(x, mean, variance, weight, bias, eps=EPSILON)


def _padded(maps: Maps, multiple: int) -> Maps:
    """The maps with sides that `multiple` divides, right and bottom border repeated."""
    height, width = (-(-side // multiple) * multiple for side in (maps.height, maps.width))

    def read(top: int, bottom: int) -> Tensor:
        # Below the last row there is only that row again.
        first, last = min(top, maps.height - 1), min(bottom, maps.height)
        rows = maps.read(first, max(last, first + 1))
        missing = bottom - top - rows.shape[-2]
        rows = F.pad(rows, (0, width - maps.width, 0, missing), mode="replicate")
        return rows.contiguous(memory_format=torch.channels_last)

    return Maps(height, width, read)


def _bordered(maps: Maps, top: int, bottom: int) -> Tensor:
    """Rows of the maps with a border of one pixel, mirrored as in `MirrorBorder`.

    Args:
        maps: to read.
        top: the first row, perhaps -1.
        bottom: after the last row, perhaps the height plus 1.
    """
    rows = maps.read(max(top, 0), min(bottom, maps.height))
    mode = "replicate" if min(maps.height, maps.width) < 2 else "reflect"
    border = (1, 1, int(top < 0), int(bottom > maps.height))
    return F.pad(rows, border, mode=mode).contiguous(memory_format=torch.channels_last)


def _doubled(maps: Maps) -> Maps:
    """Twice as large, bilinearly."""

    def read(top: int, bottom: int) -> Tensor:
        # A row takes from the two rows below it that are nearest, one of them perhaps outside.
        first, last = max(0, top // 2 - 1), min(maps.height, (bottom + 1) // 2 + 1)
        rows = F.interpolate(
            maps.read(first, last), scale_factor=2, mode="bilinear", align_corners=False
        )
        return rows[:, :, top - 2 * first : bottom - 2 * first]

    return Maps(2 * maps.height, 2 * maps.width, read)


def _joined(*parts: Maps) -> Maps:
    return Maps(
        parts[0].height,
        parts[0].width,
        lambda top, bottom: torch.cat([part.read(top, bottom) for part in parts], 1),
    )
