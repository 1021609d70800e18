"""Corrections of what the generator is given, place by place, learnt while the transformer looks.

What a pixel of the structure image belongs to, and how much its detail counts, was found before
anything was painted: a horse keeps its blaze, a ball the seams of another one. The transformer sees
what came of it. The weights of convolutions answer for all places that are given alike. Corrections
answer for one place, in the terms that the lesson taught, so that what comes is in the same hand.
What goes into a network has long been sought for one picture (Abdal et al., "Image2StyleGAN", ICCV
2019).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from splice.pictures.resampling import by_products

CELL = 16
"""Pixels of the painting between two corrections, along a side: too coarse to draw with."""

REACH = 6.0
"""Change of what is given, for a change of one of the weights, which all are learnt at one rate."""

STRONGEST = 1.5
"""How many times as strong detail may become."""


class Corrections(nn.Module):
    """Maps that are added to what the generator is given; detail is multiplied instead.

    Attributes:
        maps: a value for each channel and cell, 1 × channels × down × across, in units of `REACH`.
    """

    _inside: Tensor

    def __init__(
        self,
        channels: int,
        rows: int,
        columns: int,
        detail: slice,
        inside: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Corrects nothing yet.

        Args:
            channels: of what is given.
            rows: of the painting, in pixels.
            columns: likewise.
            detail: which channels are detail.
            inside: shares of rows and columns, from the upper left, that are corrected.
        """
        super().__init__()
        down, across = -(-rows // CELL), -(-columns // CELL)
        self.maps = nn.Parameter(torch.zeros(1, channels, down, across))
        kept = [
            (torch.arange(cells) + 0.5 < share * cells).float()
            for cells, share in zip((down, across), inside, strict=True)
        ]
        self.register_buffer("_inside", kept[0][:, None] * kept[1], persistent=False)
        self._detail = range(channels)[detail]

    def forward(
        self,
        given: Float[Tensor, "1 channels rows columns"],
        top: int = 0,
        height: int | None = None,
    ) -> Float[Tensor, "1 channels rows columns"]:
        """What is given, at any size, corrected.

        Args:
            given: rows of it.
            top: the first of these rows.
            height: how many rows there are in all; None for these alone.
        """
        size = given.shape[-2] if height is None else height, given.shape[-1]
        rows = slice(top, top + given.shape[-2])
        changes = by_products(REACH * self.maps * self._inside, size, "bilinear", rows=rows)
        first, last = self._detail[0], self._detail[-1] + 1
        detail = given[:, first:last] * (1 + changes[:, first:last]).clamp(0, STRONGEST)
        before, after = slice(None, first), slice(last, None)
        return torch.cat(
            [given[:, before] + changes[:, before], detail, given[:, after] + changes[:, after]], 1
        )
