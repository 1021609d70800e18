"""The generator of a domain: a U-Net that takes a structure picture and a condition."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.registry import make_conditioning
from splice.domain.conditioning.spatial import Spatial
from splice.domain.conditioning.starting import draw
from splice.errors import InputError
from splice.method.generator import PALEST, parameter_count
from splice.method.layers import MirrorBorder, convolution_layer

CHANNELS = (32, 64, 128, 128, 128)
"""Widths of the levels, outermost first, from which those of a budget are scaled."""

KEPT = 128
"""Numbers that the condition is brought to before it enters the levels."""


class DomainGenerator(nn.Module):
    """Encoder, decoder and thin skips, with the condition at every level of the decoder.

    The encoder is that of a pair's U-Net: each level halves the size by a 3×3 convolution of stride 2
    and adds another 3×3 one, and a 1×1 convolution of the level's input is its skip. A level of the
    decoder doubles the size, joins the skip and convolves, giving h, and then adds what the condition
    makes of it, h + conv(LeakyReLU(layer(h, c))), as in the residual blocks of DF-GAN and SSA-GAN. So
    the shapes get through even where a layer closes its mask. A 1×1 convolution makes gains g and
    offsets b of the picture's logits: sigmoid((1 + g) logit(s) + b). At g = -1 colours are the
    condition's alone. With offsets alone they cannot be: the norms hide what colour s has.

    One linear map, which all levels share, brings sentence and words to `KEPT` numbers first: else the
    layers with the most maps of the condition would spend the whole budget on its width.

    Attributes:
        layer: name of the conditioning layer.
        width: of the condition.
        channels: of the levels, outermost first.
    """

    def __init__(
        self,
        layer: str,
        width: int,
        *,
        channels: Sequence[int] = CHANNELS,
        rank: int = 256,
        skip: int = 8,
        generator: torch.Generator,
    ) -> None:
        """Builds the network with random weights; what it paints first is the structure picture.

        Args:
            layer: name of the conditioning layer, see `splice.domain.conditioning.registry`.
            width: of the condition's sentence and words.
            channels: of the levels, outermost first.
            rank: of the conditioning layers.
            skip: channels of each skip.
            generator: of the weights.

        Raises:
            InputError: an unknown layer, or a rank that it cannot have.
        """
        super().__init__()
        self.layer, self.width, self.channels = layer, width, tuple(channels)
        self.embedding = nn.Linear(width, KEPT)
        self.encoders, self.skips, self.joints = (nn.ModuleList() for _ in range(3))
        below = 3
        for each in channels:
            self.skips.append(convolution_layer(below, skip, 1))
            down, further = (
                convolution_layer(below, each, 3, stride=2),
                convolution_layer(each, each, 3),
            )
            self.encoders.append(nn.Sequential(down, further))
            below = each
        for each in reversed(channels):
            self.joints.append(convolution_layer(below + skip, each, 3))
            below = each
        self.after = nn.ModuleList(_bordered(each, each) for each in reversed(channels))
        self.colours = nn.Conv2d(below, 6, 1)
        draw(self, generator)
        nn.init.zeros_(self.colours.weight)
        self.conditionings = nn.ModuleList(
            make_conditioning(layer, each, KEPT, rank=rank, generator=generator)
            for each in reversed(channels)
        )

    def forward(
        self, structure: Float[Tensor, "batch 3 height width"], condition: Condition
    ) -> Float[Tensor, "batch 3 height width"]:
        """The structure pictures, in [0, 1], painted as the conditions say, in [0, 1].

        A size that 2^levels does not divide is padded at the right and bottom by repeating the
        border, and the result is cut.
        """
        height, width = structure.shape[-2:]
        changes = self.colours(self._decoded(structure, condition)[-1][1])[..., :height, :width]
        gains, offsets = changes.chunk(2, 1)
        return torch.sigmoid((1 + gains) * torch.logit(structure, PALEST) + offsets)

    def masks(
        self, structure: Float[Tensor, "batch 3 height width"], condition: Condition
    ) -> Float[Tensor, "batch levels height width"]:
        """Where the condition counts at each level of the decoder, deepest first, in [0, 1].

        Each is brought to the size of the picture by repeating its places.

        Raises:
            InputError: the conditioning layer has no masks; only `spatial` has.
        """
        masks = []
        for layer, (maps, _) in zip(
            self.conditionings, self._decoded(structure, condition), strict=True
        ):
            if not isinstance(layer, Spatial):
                raise InputError(
                    f"the conditioning layer {self.layer!r} has no masks; 'spatial' has"
                )
            masks.append(layer.masks(maps))
        height, width = structure.shape[-2:]
        whole = masks[-1].shape[-2:]
        return torch.cat([F.interpolate(mask, whole) for mask in masks], 1)[..., :height, :width]

    def matrices(self) -> list[Tensor]:
        """Weights of linear maps and convolutions, but for the last convolution, which starts at 0."""
        layers = (layer for layer in self.modules() if isinstance(layer, nn.Linear | nn.Conv2d))
        return [layer.weight for layer in layers if layer is not self.colours]

    def _decoded(self, structure: Tensor, condition: Condition) -> list[tuple[Tensor, Tensor]]:
        """Of each level of the decoder, deepest first, the maps before and after the condition."""
        height, width = structure.shape[-2:]
        multiple = 2 ** len(self.channels)
        right, bottom = -width % multiple, -height % multiple
        x = F.pad(structure, (0, right, 0, bottom), mode="replicate")
        condition = self._embedded(condition)
        skips: list[Tensor] = []
        for encoder, skip in zip(self.encoders, self.skips, strict=True):
            skips.append(skip(x))
            x = encoder(x)
        levels = []
        for joint, conditioning, after in zip(
            self.joints, self.conditionings, self.after, strict=True
        ):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            before = joint(torch.cat([x, skips.pop()], 1))
            x = before + after(F.leaky_relu(conditioning(before, condition), 0.2))
            levels.append((before, x))
        return levels

    def _embedded(self, condition: Condition) -> Condition:
        sentence, words = self.embedding(condition.sentence), self.embedding(condition.words)
        return Condition(sentence, words, condition.present)


def channels_for_budget(
    layer: str,
    width: int,
    budget: int,
    *,
    rank: int = 256,
    base: Sequence[int] = CHANNELS,
) -> tuple[int, ...]:
    """Widths of the levels with which the generator has about so many parameters.

    All levels are scaled alike, from `base`, to even numbers. The count is within 4 % of a budget of a
    million or more.

    Args:
        layer: name of the conditioning layer.
        width: of the condition.
        budget: parameters that are wanted.
        rank: of the conditioning layers.
        base: widths of the levels to scale, outermost first.

    Raises:
        InputError: an unknown layer, or a budget that the narrowest levels exceed by half.
    """

    def scaled(widest: int) -> tuple[int, ...]:
        return tuple(max(2, round(each * widest / max(base) / 2) * 2) for each in base)

    def count(widest: int) -> int:
        # On the meta device nothing is computed and nothing kept.
        with torch.device("meta"):
            network = DomainGenerator(
                layer, width, channels=scaled(widest), rank=rank, generator=torch.Generator()
            )
        return parameter_count(network)

    least = count(2)
    if least > 1.5 * budget:
        raise InputError(
            f"a budget of {budget} parameters: with the conditioning layer {layer!r} and a condition "
            f"{width} wide a generator has at least {least}"
        )
    low, high = 2, 4
    while count(high) < budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < budget else (low, middle)
    return scaled(min((low, high), key=lambda widest: abs(count(widest) - budget)))


def _bordered(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(MirrorBorder(), nn.Conv2d(inputs, outputs, 3))
