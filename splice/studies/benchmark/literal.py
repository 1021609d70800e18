"""The paper's loop transcribed word for word, to compare with: nothing shared, nothing batched.

Splice (Tumanyan et al., CVPR 2022), sections 3.1 to 3.3: every loss resizes its pictures to 224 px,
normalises them and extracts its own features, one picture at a time, in float32, targets included, at
every step; the generator has batch norm; a progress picture is painted every ten steps.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transforms

from splice.backbones.registry import Backbone

ENTIRE_EVERY, PICTURE_EVERY = 75, 10
SHORT_SIDE, LONG_SIDE = 224, 480
LEARNING_RATE, BETAS = 2e-3, (0.0, 0.99)
WEIGHTS = {"appearance": 1.0, "structure": 0.1, "identity": 0.1}

Picture = Float[Tensor, "3 _height _width"]
"""Of any size: pictures of one call need not be of the same."""


class Extractor:
    """Deepest [CLS] token and keys of a timm model, by hooks on a pass through all of it."""

    def __init__(self, vit: Any, backbone: Backbone) -> None:
        """Hooks the last block of `vit`, a timm `VisionTransformer` or `Eva` without gradients."""
        self.vit, self.patch = vit, int(vit.patch_embed.patch_size[0])
        self.prefix = int(vit.num_prefix_tokens)
        device = next(vit.parameters()).device
        self.mean, self.deviation = (
            torch.tensor(values, device=device)[:, None, None]
            for values in (backbone.mean, backbone.std)
        )
        self.found: dict[str, Tensor] = {}
        last = vit.blocks[-1]
        last.register_forward_hook(lambda *call: self.found.update(tokens=call[2]))
        last.attn.k_norm.register_forward_hook(lambda *call: self.found.update(keys=call[2]))

    def transform(self, picture: Picture) -> Picture:
        """Resized to 224 px on the short side, both sides whole patches, and normalised."""
        height, width = picture.shape[1:]
        scale = SHORT_SIDE / min(height, width)
        most = LONG_SIDE // self.patch
        size = [
            max(1, min(round(side * scale / self.patch), most)) * self.patch
            for side in (height, width)
        ]
        resized = F.interpolate(picture[None], size, mode="bicubic", antialias=True)[0]
        return (resized - self.mean) / self.deviation

    def cls(self, picture: Picture) -> Float[Tensor, " width"]:
        """[CLS] leaving the last block, of a transformed picture."""
        self.vit.forward_features(picture[None])
        return self.found["tokens"][0, 0]

    def keys(self, picture: Picture) -> Float[Tensor, "tokens width"]:
        """Keys of the last block, heads concatenated, [CLS] first, of a transformed picture."""
        self.vit.forward_features(picture[None])
        keys = self.found["keys"][0].transpose(0, 1).flatten(1)
        return torch.cat([keys[:1], keys[self.prefix :]])

    def self_similarity(self, picture: Picture) -> Float[Tensor, "tokens tokens"]:
        """Cosine of each key with each other."""
        keys = self.keys(picture)
        length = keys.norm(dim=1)
        return keys @ keys.T / (length[:, None] * length[None]).clamp_min(1e-8)

    def loss(
        self,
        feature: Callable[[Picture], Tensor],
        outputs: Sequence[Picture],
        targets: Sequence[Picture],
    ) -> Float[Tensor, ""]:
        """Squared difference of a feature (one of the above), picture by picture."""
        loss = torch.zeros((), device=outputs[0].device)
        for output, target in zip(outputs, targets, strict=True):
            with torch.no_grad():
                wanted = feature(self.transform(target))
            loss = loss + F.mse_loss(feature(self.transform(output)), wanted)
        return loss


class PaperGenerator(nn.Module):
    """The U-Net of the paper with batch norm: five levels, skips of 4 channels, sigmoid."""

    def __init__(self, channels: Sequence[int] = (16, 32, 64, 128, 128), skip: int = 4) -> None:
        super().__init__()
        self.encoders, self.skips, self.decoders = (nn.ModuleList() for _ in range(3))
        below = 3
        for width in channels:
            self.skips.append(_layer(below, skip, 1))
            self.encoders.append(
                nn.Sequential(_layer(below, width, 3, stride=2), _layer(width, width, 3))
            )
            below = width
        for width in reversed(channels):
            joined = below + skip
            self.decoders.append(
                nn.Sequential(
                    nn.BatchNorm2d(joined), _layer(joined, width, 3), _layer(width, width, 1)
                )
            )
            below = width
        self.colours = nn.Conv2d(below, 3, 1)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: Float[Tensor, "1 3 height width"]) -> Float[Tensor, "1 3 height width"]:
        """The picture painted for a picture in [0, 1]; sizes are padded to multiples of 32."""
        height, width = x.shape[-2:]
        multiple = 2 ** len(self.encoders)
        x = F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        skips = []
        for encoder, skip in zip(self.encoders, self.skips, strict=True):
            skips.append(skip(x))
            x = encoder(x)
        for decoder in self.decoders:
            x = decoder(torch.cat([self.up(x), skips.pop()], 1))
        return torch.sigmoid(self.colours(x))[..., :height, :width]


class LiteralLoop:
    """The loop of one pair.

    Attributes:
        done: steps done.
        weights: of the three losses.
        generator: the network that learns.
    """

    def __init__(
        self,
        structure: Picture,
        appearance: Picture,
        vit: Any,
        backbone: Backbone,
        *,
        seed: int = 0,
        calibrated: bool = False,
    ) -> None:
        """Draws the generator's weights.

        Args:
            structure: in [0, 1], on the device.
            appearance: in [0, 1], on the device.
            vit: the timm model, float32, on the device.
            backbone: its registry entry.
            seed: of weights and views.
            calibrated: weigh all three losses alike, each divided by its value between the largest
                central squares of the two pictures, instead of the paper's weights.
        """
        self.structure, self.appearance, self.done = structure, appearance, 0
        self.extractor = Extractor(vit, backbone)
        self.random = torch.Generator().manual_seed(seed)
        self.generator = PaperGenerator()
        for module in self.generator.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight, 0.02, self.random)
                nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]
        self.generator.to(structure.device)
        self.adam = torch.optim.Adam(self.generator.parameters(), lr=LEARNING_RATE, betas=BETAS)
        self.weights = WEIGHTS
        if calibrated:
            side = min(*structure.shape[1:])
            other = min(*appearance.shape[1:])
            mine = [transforms.center_crop(structure, [side, side])]
            theirs = [transforms.center_crop(appearance, [other, other])]
            with torch.no_grad():
                between = self.losses(mine, theirs, theirs, mine)
            self.weights = {name: 1 / (float(value) or 1.0) for name, value in between.items()}

    def step(self) -> Float[Tensor, ""]:
        """One step of Adam; the weighted sum of its losses."""
        structures, appearances = [self.structure_view()], [self.appearance_view()]
        if self.done % ENTIRE_EVERY == 0:
            structures.append(self.structure)
            appearances.append(self.appearance)
        outputs = [self.generator(view[None])[0] for view in structures]
        reconstructions = [self.generator(view[None])[0] for view in appearances]
        losses = self.losses(outputs, structures, appearances, reconstructions)
        total = sum(self.weights[name] * value for name, value in losses.items())
        assert isinstance(total, Tensor)
        self.adam.zero_grad()
        total.backward()
        self.adam.step()
        if self.done % PICTURE_EVERY == 0:
            self.eight_bits()
        self.done += 1
        return total.detach()

    def losses(
        self,
        outputs: Sequence[Picture],
        structures: Sequence[Picture],
        appearances: Sequence[Picture],
        reconstructions: Sequence[Picture],
    ) -> dict[str, Float[Tensor, ""]]:
        """The three losses, unweighted (eq. 3, 4 and 5)."""
        look = self.extractor
        return {
            "appearance": look.loss(look.cls, outputs, appearances),
            "structure": look.loss(look.self_similarity, outputs, structures),
            "identity": look.loss(look.keys, reconstructions, appearances),
        }

    @torch.no_grad()
    def picture(self) -> Picture:
        """What the generator makes of the entire structure image, in [0, 1]."""
        return self.generator(self.structure[None])[0]

    def eight_bits(self) -> UInt8[np.ndarray, "height width 3"]:
        """The progress picture as it would be saved."""
        return (self.picture() * 255).round().byte().permute(1, 2, 0).cpu().numpy()

    def structure_view(self) -> Picture:
        """A random square of the structure image, perhaps mirrored, in other colours, blurred."""
        view = self.appearance_view(self.structure)
        if self._uniform(0.0, 1.0) < 0.5:
            changes = (
                lambda x: transforms.adjust_brightness(x, self._uniform(0.6, 1.4)),
                lambda x: transforms.adjust_contrast(x, self._uniform(0.6, 1.4)),
                lambda x: transforms.adjust_saturation(x, self._uniform(0.8, 1.2)),
                lambda x: transforms.adjust_hue(x, self._uniform(-0.1, 0.1)),
            )
            for index in torch.randperm(len(changes), generator=self.random).tolist():
                view = changes[index](view)
        if self._uniform(0.0, 1.0) < 0.2:
            view = transforms.gaussian_blur(view, [3, 3], [self._uniform(0.1, 2.0)])
        return view

    def appearance_view(self, picture: Picture | None = None) -> Picture:
        """A random square of a picture, the appearance image by default, perhaps mirrored."""
        picture = self.appearance if picture is None else picture
        height, width = picture.shape[1:]
        side = min(round(self._uniform(0.95, 1.0) * height), height, width)
        top = int(torch.randint(height - side + 1, (), generator=self.random))
        left = int(torch.randint(width - side + 1, (), generator=self.random))
        view = transforms.crop(picture, top, left, side, side)
        return transforms.horizontal_flip(view) if self._uniform(0.0, 1.0) < 0.5 else view

    def _uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.random))


def _layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with a mirrored border, batch norm, LeakyReLU(0.2)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="reflect"),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )
