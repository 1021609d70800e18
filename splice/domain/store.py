"""The pictures of a domain as they are learnt from: small, read once, seen in random views."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.domain.pictures import DomainPicture
from splice.method.views import change_colours, draw_view
from splice.pictures.images import read_image

KEPT_BYTES = 2_000_000_000
"""Of pictures in memory; the rest are read again whenever they are drawn."""


class PictureStore:
    """Pictures at a short side, with 8 bits, in memory as far as there is room.

    Attributes:
        pictures: of the domain.
        side: their short side, in pixels.
    """

    def __init__(
        self, pictures: Sequence[DomainPicture], side: int, kept_bytes: int = KEPT_BYTES
    ) -> None:
        self.pictures, self.side = pictures, side
        self._room = kept_bytes
        self._kept: OrderedDict[int, UInt8[Tensor, "3 height width"]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Float[Tensor, "3 height width"]:
        """The picture, in [0, 1].

        Raises:
            InputError: it cannot be read.
        """
        levels = self._kept.get(index)
        if levels is None:
            image = read_image(self.pictures[index].file, short_side=self.side)
            levels = (image * 255).round().to(torch.uint8)
            if levels.numel() <= self._room:
                self._room -= levels.numel()
                self._kept[index] = levels
        return levels.float() / 255

    def view(
        self, index: int, random: torch.Generator, *, other_colours: bool = False
    ) -> Float[Tensor, "3 side side"]:
        """A random square view, as `splice.method.views` draws it, at `side` × `side` pixels.

        Args:
            index: of the picture.
            random: on the CPU.
            other_colours: perhaps in other colours, as a structure image's views are.
        """
        image = self[index][None]
        part = draw_view(image.shape[-2], image.shape[-1], random).cut(image)
        part = squared(part, self.side)
        return (change_colours(part, random) if other_colours else part)[0]

    def middle(self, index: int) -> Float[Tensor, "3 side side"]:
        """The largest square in the middle, at `side` × `side` pixels."""
        image = self[index][None]
        side = min(image.shape[-2:])
        top, left = ((length - side) // 2 for length in image.shape[-2:])
        return squared(image[:, :, top : top + side, left : left + side], self.side)[0]


def squared(
    image: Float[Tensor, "batch 3 rows columns"], side: int
) -> Float[Tensor, "batch 3 side side"]:
    """The picture at `side` × `side` pixels, in [0, 1]: antialiased bicubic."""
    if tuple(image.shape[-2:]) == (side, side):
        return image
    size = (side, side)
    return F.interpolate(image, size=size, mode="bicubic", antialias=True).clamp(0, 1)


@torch.no_grad()
def cls_of(
    pictures: Sequence[DomainPicture],
    vit: FrozenViT,
    side: int,
    seen: Callable[[int], object] = lambda count: None,
) -> Float[Tensor, "pictures width"]:
    """The deepest [CLS] token of each whole picture, on the CPU.

    Args:
        pictures: to look at.
        vit: that looks.
        side: short side, in pixels, at which it looks.
        seen: is told how many have been looked at.

    Raises:
        InputError: one cannot be read.
    """
    device = next(vit.parameters()).device
    tokens = []
    for number, picture in enumerate(pictures, 1):
        image = read_image(picture.file, short_side=side)[None].to(device)
        tokens.append(vit(image, cls=[vit.blocks], short_side=side).cls[vit.blocks].cpu())
        seen(number)
    if not tokens:
        return torch.zeros(0, vit.width)
    return torch.cat(tokens)
