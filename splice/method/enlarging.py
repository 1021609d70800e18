"""A painting made large: a little network that has learnt how the appearance image goes on in small.

It is shown the appearance image shrunk and enlarged again, with the detail that the large one has, and
learns to paint what is missing: single hairs, needles, cracks. Then it does so to the painting, with
the structure image's detail. It has no norms, so a part of a picture is painted as the whole is.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from splice.method.addresses import Address
from splice.method.detail import detail_of, foreign_detail
from splice.method.views import View

TIMES = 2
"""How many times larger."""

RADII, FAINT = (2, 6), 1e-3
"""Of the windows of detail, in pixels of the large picture, and variance of what counts as noise."""

CODES = 8
"""Channels of the addresses that it sees."""

WIDTH = 32
"""Channels of its layers."""

STEPS, CROPS, SIDE, RATE = 300, 3, 160, 2e-3
"""Of its learning: steps, crops in each, their side in pixels, and Adam's first step size."""

SOFTNESS = (1.0, 0.85, 0.7, 0.6)
"""How small the appearance image is shrunk, in shares of the painting: paintings may be soft."""

FOREIGN = 2.0
"""Most that foreign detail is strengthened before it is added to the picture's own."""


class Enlarger(nn.Module):
    """Adds to an enlarged picture what its detail says."""

    def __init__(self, random: torch.Generator) -> None:
        """Draws the first weights; the last layer starts with zeros, and adds nothing."""
        super().__init__()
        widths = (3 + CODES + len(RADII), WIDTH, WIDTH, WIDTH, 3)
        pairs = pairwise(widths)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)
        with torch.no_grad():
            for layer in self.layers:
                assert isinstance(layer, nn.Conv2d)
                nn.init.kaiming_normal_(layer.weight, 0.2, generator=random)
                layer.bias.zero_()  # pyright: ignore[reportOptionalMemberAccess]
            self.layers[-1].weight.zero_()  # pyright: ignore[reportCallIssue]

    def forward(
        self,
        picture: Float[Tensor, "batch 3 height width"],
        codes: Float[Tensor, "batch codes height width"],
        detail: Float[Tensor, "batch radii height width"],
    ) -> Float[Tensor, "batch 3 height width"]:
        """The picture with what it lacks, in about [0, 1].

        Args:
            picture: enlarged, in [0, 1].
            codes: the first channels of the addresses.
            detail: of the large photograph.
        """
        x = torch.cat([4 * (picture - 0.5), codes, detail], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        *hidden, last = self.layers
        for layer in hidden:
            x = F.leaky_relu(layer(x), 0.2)
        return picture + last(x).float()


@torch.enable_grad()
def learn_enlarging(
    appearance: Float[Tensor, "1 3 rows columns"],
    addresses: Address,
    structure: Float[Tensor, "1 3 _ _"],
    seed: int,
    dtype: torch.dtype,
    steps: int = STEPS,
) -> Enlarger:
    """An enlarger for paintings in the look of the appearance image.

    Args:
        appearance: the appearance image, large, in [0, 1].
        addresses: of the pixels of the painting's size.
        structure: the structure image, large, from which foreign detail is taken.
        seed: of its weights, and of what it is shown.
        dtype: precision of the convolutions.
        steps: of its learning.
    """
    random = torch.Generator().manual_seed(seed)
    device, size = appearance.device.type, appearance.shape[-2:]
    enlarger = Enlarger(random).to(appearance.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    codes = F.interpolate(addresses[:, :CODES], size=size, mode="bilinear")
    details = [detail_of(image, RADII, FAINT) for image in (appearance, structure)]
    softened = [_softened(appearance, addresses.shape[-2:], share) for share in SOFTNESS]
    adam = torch.optim.Adam(enlarger.parameters(), RATE)
    crop = [min(SIDE, side) for side in size]
    for step in range(steps):
        shown = []
        for _ in range(CROPS):
            soft = int(torch.randint(len(softened), (), generator=random))
            part = _crop([softened[soft], codes, details[0], appearance], crop, random)
            strength = FOREIGN * torch.rand((), generator=random).item()
            part[2] = part[2] + strength * foreign_detail(details, crop, random)
            shown.append(part)
        picture, code, detail, wanted = (torch.cat(each) for each in zip(*shown, strict=True))
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            painted = enlarger(picture, code, detail)
        adam.param_groups[0]["lr"] = RATE * (1 - step / steps)
        adam.zero_grad()
        (painted - wanted).abs().mean().backward()
        adam.step()
    return enlarger.requires_grad_(False)


@torch.no_grad()
def enlarged(
    enlarger: Enlarger,
    painting: Float[Tensor, "1 3 height width"],
    addresses: Address,
    photograph: Float[Tensor, "1 3 rows columns"],
) -> Float[Tensor, "1 3 rows columns"]:
    """The painting at the size of a photograph and with its detail, in [0, 1].

    Args:
        enlarger: that has learnt the look.
        painting: of the photograph, in [0, 1].
        addresses: of its pixels.
        photograph: about `TIMES` as large, in [0, 1].
    """
    size = photograph.shape[-2:]
    picture = F.interpolate(painting, size=size, mode="bicubic").clamp(0, 1)
    codes = F.interpolate(addresses[:, :CODES], size=size, mode="bilinear")
    return enlarger(picture, codes, detail_of(photograph, RADII, FAINT)).clamp(0, 1)


def _softened(image: Tensor, size: tuple[int, ...], share: float) -> Tensor:
    """A picture shrunk to a share of a size, and enlarged to its own again."""
    small = [max(1, round(share * side)) for side in size]
    shrunk = F.interpolate(image, size=small, mode="bicubic", antialias=True)
    return F.interpolate(shrunk, size=image.shape[-2:], mode="bicubic").clamp(0, 1)


def _crop(maps: list[Tensor], size: list[int], random: torch.Generator) -> list[Tensor]:
    """The same view of each."""
    top, left = (
        int(torch.randint(side - part + 1, (), generator=random))
        for side, part in zip(maps[0].shape[-2:], size, strict=True)
    )
    flip = bool(torch.rand((), generator=random) < 0.5)
    view = View(top, left, size[0], size[1], flip)
    return [view.cut(each) for each in maps]
