"""The lesson: the appearance image, to be painted from its own addresses and detail.

This is what the generator learns first, and does not forget while the transformer looks at the other
picture. What it paints there is in the hand that it learnt here: real fur, real rock, real skies.
It is the published method's identity term in pixels (Splice, section 3.3, eq. 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.appearances import Appearance, side_by_side
from splice.method.detail import foreign_detail
from splice.method.noise import draw_noise, normal
from splice.method.views import View

SIZES = (0.7, 1.3)
"""Range of the size at which it is shown, so that no pixel can be learnt by heart."""

PIECE, WIDEST = 256, 1.4
"""Short side of the piece that is shown, in pixels, and most of its long side in short ones."""

NOISE = 0.1
"""Deviation of the noise that is added to what the generator is given."""

FOREIGN = 0.7
"""Most that foreign detail is strengthened before it is added."""


@dataclass(frozen=True)
class Lesson:
    """What the generator learns of the appearance image.

    Attributes:
        picture: the appearance image, in [0, 1].
        addresses: of its pixels.
        detail: its own.
        colours: logits of its colours without detail, which the generator starts from.
        foreign: the structure image's detail.
        counts: how much each pixel counts, in [0, 1]; None where all count alike.
    """

    picture: Float[Tensor, "1 3 rows columns"]
    addresses: Float[Tensor, "1 channels rows columns"]
    detail: Float[Tensor, "1 radii rows columns"]
    colours: Float[Tensor, "1 3 rows columns"]
    foreign: Float[Tensor, "1 radii height width"]
    counts: Float[Tensor, "1 1 rows columns"] | None = None

    @staticmethod
    def of(
        shown: Sequence[Appearance],
        addresses: Sequence[Float[Tensor, "1 channels _ _"]],
        details: Sequence[Float[Tensor, "1 radii _ _"]],
        colours: Sequence[Float[Tensor, "1 3 _ _"]],
        foreign: Float[Tensor, "1 radii height width"],
    ) -> "Lesson":
        """The lesson of one or several pictures, which are learnt as one, side by side.

        One after the other they would each be normed by themselves, and not told apart by what the
        generator is given.
        """
        all_alike = len(shown) == 1 and shown[0].mask is None
        return Lesson(
            side_by_side([each.picture for each in shown]),
            side_by_side(addresses),
            side_by_side(details),
            side_by_side(colours),
            foreign,
            None if all_alike else side_by_side([each.counts() for each in shown], border=False),
        )

    def draw(
        self, random: torch.Generator
    ) -> tuple[
        Float[Tensor, "1 inputs _ _"], Float[Tensor, "1 3 _ _"], Float[Tensor, "1 1 _ _"] | None
    ]:
        """What the generator is given, what it should paint, and how much each pixel counts.

        The pictures, or a piece of large ones, at some size, perhaps mirrored.

        Args:
            random: on the CPU.
        """
        share, mirrored, strength, down, right = torch.rand(5, generator=random).tolist()
        share = SIZES[0] + (SIZES[1] - SIZES[0]) * share
        rows, columns = self.picture.shape[-2:]
        height, width = rows, columns
        high, wide = piece_of(rows, columns)
        if (high, wide) != (rows, columns):
            height, width = min(round(high / share), rows), min(round(wide / share), columns)
        if self.counts is None:
            top, left = int(down * (rows - height + 1)), int(right * (columns - width + 1))
        else:
            # A piece in which nothing counts would teach nothing, and have no mean.
            row, column = divmod(self._counted(random), columns)
            top = min(max(0, row - int(down * height)), rows - height)
            left = min(max(0, column - int(right * width)), columns - width)
        view = View(top, left, height, width, mirrored < 0.5)
        size = [max(1, round(share * side)) for side in (height, width)]

        def seen(maps: Tensor, antialias: bool = False) -> Tensor:
            part = view.cut(maps)
            return F.interpolate(part, size=size, mode="bilinear", antialias=antialias)

        # Codes, detail and colours lie as they do where the structure image is painted smaller.
        addresses, detail = seen(self.addresses), seen(self.detail)
        detail = detail + FOREIGN * strength * foreign_detail(
            [self.foreign, self.detail], size, random
        )
        told = torch.cat([addresses, detail], 1)
        told = told + NOISE * normal(told.shape, random, told.device)
        grains = draw_noise(size, random, told.device)
        # The colours that the generator starts from would keep their noise.
        inputs = torch.cat([told, grains, seen(self.colours)], 1)
        counts = None if self.counts is None else seen(self.counts)
        return inputs, seen(self.picture, antialias=True), counts

    def _counted(self, random: torch.Generator) -> int:
        """A pixel, row by row, as likely as it counts."""
        place = self._sums[-1] * torch.rand((), generator=random, dtype=torch.double)
        # The first sum above it, so that the pixel itself counts.
        return min(int(torch.searchsorted(self._sums, place, right=True)), len(self._sums) - 1)

    @cached_property
    def _sums(self) -> Float[Tensor, " pixels"]:
        """How much the pixels count up to each, row by row; on the CPU, where places are drawn."""
        assert self.counts is not None
        return self.counts.flatten().double().cpu().cumsum(0)


def piece_of(rows: float | int, columns: float | int) -> tuple[float | int, float | int]:
    """Sides of the piece that is learnt in a step, of a picture of that size, in pixels.

    A picture that has no more pixels than a piece is learnt whole.
    """
    if rows * columns <= WIDEST * PIECE**2:
        return rows, columns
    short = min(PIECE, rows, columns)
    long = min(short * min(WIDEST, max(rows, columns) / min(rows, columns)), max(rows, columns))
    return (short, long) if rows <= columns else (long, short)


def lesson_term(
    painted: Float[Tensor, "1 3 rows columns"],
    shown: Float[Tensor, "1 3 rows columns"],
    counts: Float[Tensor, "1 1 rows columns"] | None,
) -> Float[Tensor, ""]:
    """The mean absolute difference, by how much pixels count."""
    apart = (painted - shown).abs()
    return apart.mean() if counts is None else (apart * counts).sum() / (3 * counts.sum())
