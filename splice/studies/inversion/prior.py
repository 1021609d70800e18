"""The Deep Image Prior: an untrained encoder-decoder whose shape alone prefers natural images.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior" (CVPR 2018), with the layer sizes of its feature
inversion: what remains is to fit its weights so that the picture that it draws from noise has the
features wanted (Tumanyan et al., "Splicing ViT Features for Semantic Appearance Transfer", CVPR
2022, section 3.2).

One module holds the weights of several networks, which never mix: every convolution is a grouped
one, with a group for each network. That is how several inversions run as one batch on a device
that is faster so.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

NOISE_CHANNELS = 32
CHANNELS = (16, 32, 64, 128, 128, 128)
FILTERS = (7, 7, 5, 5, 3, 3)
SKIP_CHANNELS = 4
SMALLEST_SIDE = 2 ** len(CHANNELS) + 1
"""Pixels on a side below which the deepest level is one pixel wide, with nothing to reflect."""


class GroupedConv(nn.Module):
    """Convolutions of one shape side by side, one for each network, with reflection padding.

    Attributes:
        weight: of all networks, their output channels one after another.
        bias: likewise.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        channels_in: int,
        channels_out: int,
        size: int,
        stride: int = 1,
    ) -> None:
        """Draws each network's weights from its own generator.

        Uniform within ±1/sqrt(fan-in), PyTorch's initialisation of a convolution, which the Deep
        Image Prior uses unchanged.
        """
        super().__init__()
        self.stride, self.networks, self.padding = stride, len(generators), size // 2
        bound = 1 / math.sqrt(channels_in * size * size)
        drawn = [
            (
                torch.empty(channels_out, channels_in, size, size).uniform_(
                    -bound, bound, generator=generator
                ),
                torch.empty(channels_out).uniform_(-bound, bound, generator=generator),
            )
            for generator in generators
        ]
        self.weight = nn.Parameter(torch.cat([weight for weight, _ in drawn]))
        self.bias = nn.Parameter(torch.cat([bias for _, bias in drawn]))

    def forward(
        self, x: Float[Tensor, "1 channels height width"]
    ) -> Float[Tensor, "1 channels_out height_out width_out"]:
        """Convolves each network's channels with that network's weights; halves sides upwards."""
        if self.padding:
            x = F.pad(x, (self.padding,) * 4, mode="reflect")
        return F.conv2d(x, self.weight, self.bias, self.stride, groups=self.networks)


class ChannelNorm(nn.Module):
    """Each channel of each network to mean 0 and deviation 1 over the picture, then an affine map.

    Batch normalisation of a batch of one, as the Deep Image Prior has it: it uses the statistics
    of the one picture that it sees, always.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(
        self, x: Float[Tensor, "1 channels height width"]
    ) -> Float[Tensor, "1 channels height width"]:
        """The normalised channels."""
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True)


class ConvNormAct(nn.Sequential):
    """Convolution, normalisation and LeakyReLU(0.2), of several networks side by side."""

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        channels_in: int,
        channels_out: int,
        size: int,
        stride: int = 1,
    ) -> None:
        super().__init__(
            GroupedConv(generators, channels_in, channels_out, size, stride),
            ChannelNorm(len(generators) * channels_out),
            nn.LeakyReLU(0.2, inplace=True),
        )


class DeepImagePrior(nn.Module):
    """Encoder-decoders with skips, six levels deep, that draw pictures from noise.

    Level l of the encoder halves the picture with a stride-2 convolution and follows it with one
    of stride 1, both with c_l channels and filters of k_l pixels; a 1x1 convolution to four
    channels carries what entered the level across. The decoder doubles the picture (nearest
    neighbour), joins what was carried, normalises, and convolves with a k_l and a 1x1 filter to
    c_l channels. Every convolution is followed by normalisation and LeakyReLU(0.2), the last, 1x1
    to RGB, by a sigmoid.
    (c_l: 16, 32, 64, 128, 128, 128. k_l: 7, 7, 5, 5, 3, 3. 2,606,763 parameters a network.)

    Attributes:
        networks: how many networks the module holds.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        """Draws the weights of one network from each generator (of the CPU).

        A network's weights depend on its own generator alone, not on the networks beside it.
        """
        super().__init__()
        self.networks = len(generators)
        self.skips = nn.ModuleList()
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        entering = NOISE_CHANNELS
        for channels, size in zip(CHANNELS, FILTERS, strict=True):
            self.skips.append(ConvNormAct(generators, entering, SKIP_CHANNELS, 1))
            self.encoder.append(
                nn.Sequential(
                    ConvNormAct(generators, entering, channels, size, stride=2),
                    ConvNormAct(generators, channels, channels, size),
                )
            )
            entering = channels
        for channels, size in zip(reversed(CHANNELS), reversed(FILTERS), strict=True):
            self.decoder.append(
                nn.Sequential(
                    ChannelNorm(self.networks * (SKIP_CHANNELS + entering)),
                    ConvNormAct(generators, SKIP_CHANNELS + entering, channels, size),
                    ConvNormAct(generators, channels, channels, 1),
                )
            )
            entering = channels
        self.last = GroupedConv(generators, entering, 3, 1)

    def forward(
        self, noise: Float[Tensor, "networks 32 height width"]
    ) -> Float[Tensor, "networks 3 height width"]:
        """Draws one picture with each network, in [0, 1], at the size of the noise.

        Any size of at least 65 pixels on a side: levels round sides up on the way down, and the
        decoder drops the surplus row or column.
        """
        x = noise.reshape(1, -1, *noise.shape[2:])
        carried = []
        for skip, down in zip(self.skips, self.encoder, strict=True):
            carried.append(skip(x))
            x = down(x)
        for up in self.decoder:
            x = up(self._join(carried.pop(), F.interpolate(x, scale_factor=2, mode="nearest")))
        colours = self.last(x)
        # Under autocast too, eight bits of mantissa are too few for a picture.
        picture = torch.sigmoid(colours.to(torch.promote_types(colours.dtype, torch.float32)))
        return picture.reshape(self.networks, 3, *picture.shape[2:])

    def _join(
        self,
        carried: Float[Tensor, "1 some height width"],
        risen: Float[Tensor, "1 others at_least_height at_least_width"],
    ) -> Float[Tensor, "1 joined height width"]:
        """Both inputs of a decoder level, network by network, at the size of what was carried."""
        height, width = carried.shape[2:]
        risen = risen[:, :, :height, :width]
        if self.networks == 1:
            return torch.cat([carried, risen], 1)
        parts = [x.reshape(self.networks, -1, height, width) for x in (carried, risen)]
        return torch.cat(parts, 1).reshape(1, -1, height, width)
