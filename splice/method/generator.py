"""The U-Net that paints: trained from scratch on one pair.

The plain network is the paper's (Splice, section 3.3 and supplementary; after Ulyanov et al., "Deep
Image Prior", 2018). The default's is given meaning, detail, noise and plain colours.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from splice.backbones.compiling import compiled
from splice.method.layers import InstanceNorm, convolution_layer, doubled

PAPER_CHANNELS = (16, 32, 64, 128, 128)

PALEST = 0.02
"""How near to black and white the colours come that painting starts from: their logits are finite."""


class UNet(nn.Module):
    """Encoder, decoder and thin skips; pictures of any size in, pictures of the same size out.

    Each level halves the size by a 3×3 convolution of stride 2 and adds another 3×3 one; a 1×1
    convolution of the level's input to `skip` channels is its skip. The decoder doubles the size
    bilinearly, joins the skip, and applies a 3×3 and a 1×1 convolution; a last 1×1 convolution and a
    sigmoid make colours. All convolutions but the last are followed by instance norm and
    LeakyReLU(0.2). The authors' batch norm in training mode with one image is the same function as
    instance norm with an affine, which allows batches.

    Attributes:
        inputs: channels of the input.
        levels: how often the size is halved.
        from_colours: whether the last three channels of the input are what it starts from.
        sparing: whether what is inside a level is computed a second time for the gradient rather than
            kept: about half of the memory, a third more time, the same gradient.
    """

    _compiled: "Callable[[UNet, Tensor], Tensor] | None" = None

    def __init__(
        self,
        inputs: int = 3,
        *,
        channels: Sequence[int] = PAPER_CHANNELS,
        skip: int = 4,
        start: Literal["paper", "rectifier"] = "paper",
        from_colours: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        """Builds the network with random weights.

        Args:
            inputs: channels of the input, 3 for the plain network.
            channels: width of each level, outermost first.
            skip: channels of each skip.
            start: "paper" draws weights from Xavier's normal distribution with gain 0.02;
                "rectifier" from Kaiming's, which keeps the variance through LeakyReLU(0.2), with a
                last layer of zeros, so that the network starts from grey, or from colours given.
            from_colours: whether the last three channels of the input are the logits of colours,
                to which the last layer adds: a network of zeros gives these colours.
            generator: where the randomness comes from.
        """
        super().__init__()
        self.inputs, self.levels, self.sparing = inputs, len(channels), False
        self.from_colours = from_colours
        self.encoders, self.skips, self.decoders = (nn.ModuleList() for _ in range(3))
        below = inputs
        for width in channels:
            self.skips.append(convolution_layer(below, skip, 1))
            self.encoders.append(
                nn.Sequential(
                    convolution_layer(below, width, 3, stride=2), convolution_layer(width, width, 3)
                )
            )
            below = width
        for width in reversed(channels):
            joined = below + skip
            self.decoders.append(
                nn.Sequential(
                    InstanceNorm(joined),
                    convolution_layer(joined, width, 3),
                    convolution_layer(width, width, 1),
                )
            )
            below = width
        self.colours = nn.Conv2d(below, 3, 1)
        self._start(start, generator)

    @torch.no_grad()
    def _start(self, start: str, generator: torch.Generator | None) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if start == "paper":
                    nn.init.xavier_normal_(module.weight, 0.02, generator)
                else:
                    nn.init.kaiming_normal_(module.weight, 0.2, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
        if start == "rectifier":
            self.colours.weight.zero_()

    def forward(
        self, x: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """The picture painted for an input, in [0, 1].

        A size that 2^levels does not divide is padded at the right and bottom by repeating the
        border, and the result is cropped.
        """
        height, width = x.shape[-2:]
        multiple = 2**self.levels
        right, bottom = -width % multiple, -height % multiple
        if right or bottom:
            x = F.pad(x, (0, right, 0, bottom), mode="replicate")
        learns = torch.is_grad_enabled() and not self.sparing
        paint = self._compiled if self._compiled is not None and learns else UNet._painted
        return paint(self, x)[..., :height, :width]

    def compile_learning(self) -> None:
        """Has the network compiled for passes with a gradient that spare no memory."""
        self._compiled = compiled(UNet._painted, "the generator")

    def _painted(self, x: Tensor) -> Tensor:
        """Of sizes that 2^levels divides."""
        skips: list[Tensor] = []
        given = x
        for encoder, skip in zip(self.encoders, self.skips, strict=True):
            skips.append(self._part(skip, x))
            x = self._part(encoder, x)
        for decoder in self.decoders:
            x = self._part(_raise, decoder, x, skips.pop())
        return self.coloured(x, given)

    def coloured(
        self,
        maps: Float[Tensor, "batch channels rows width"],
        given: Float[Tensor, "batch inputs rows width"],
    ) -> Float[Tensor, "batch 3 rows width"]:
        """The colours in [0, 1] that the last maps stand for, where this was given to the network."""
        logits = self.colours(maps).float()
        return torch.sigmoid(logits + given[:, -3:] if self.from_colours else logits)

    def _part(self, part: Callable[..., Tensor], *inputs: Any) -> Tensor:
        """A part of the network, of which only the inputs are kept where memory is spared."""
        if not (self.sparing and torch.is_grad_enabled()):
            return part(*inputs)
        result = checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
        assert isinstance(result, Tensor)
        return result


def _raise(decoder: nn.Module, x: Tensor, skip: Tensor) -> Tensor:
    """The maps of a level, from those of the level below, half as large, and the skip."""
    return decoder(torch.cat([doubled(x), skip], 1))


def parameter_count(network: nn.Module) -> int:
    """How many numbers the network learns."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
