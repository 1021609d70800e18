"""What is painted of the structure image, and what of it is kept.

The method sees the masked part with some surroundings, as a picture of its own: so it has all of the
painting's pixels. What it paints is laid over the photograph as far as the mask is white.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError
from splice.method.views import View

AROUND = 0.25
"""Surroundings that are seen, as a share of the longer side of what takes part."""

LEAST = 64
"""Sides of what is seen have at least so many pixels, where the picture has them."""

HALF = 0.5
"""What a mask must reach somewhere, for anything to take part."""


@dataclass(frozen=True)
class Frame:
    """A photograph, of which a part is painted.

    Attributes:
        photograph: in [0, 1].
        mask: 1 where it is painted, 0 where it is kept; None where all is painted.
        view: what the method sees of it.
    """

    photograph: Float[Tensor, "1 3 height width"]
    mask: Float[Tensor, "1 1 height width"] | None
    view: View

    @staticmethod
    def around(
        photograph: Float[Tensor, "1 3 height width"],
        mask: Float[Tensor, "1 1 height width"] | None,
    ) -> "Frame":
        """The frame of a photograph and its mask; a mask that is white all over is none."""
        mask = None if mask is None or bool((mask == 1).all()) else mask
        return Frame(photograph, mask, view_of(photograph, mask))

    @property
    def seen(self) -> Float[Tensor, "1 3 rows columns"]:
        """The photograph as the method sees it."""
        return self.view.cut(self.photograph)

    @property
    def seen_mask(self) -> Float[Tensor, "1 1 rows columns"] | None:
        """Its mask."""
        return None if self.mask is None else self.view.cut(self.mask)

    def filled(self, painted: Float[Tensor, "1 3 _ _"]) -> Float[Tensor, "1 3 _ _"]:
        """The photograph with what was painted of the view; without a mask the painting itself.

        Where the mask is 0, the photograph's numbers stay as they are.

        Args:
            painted: the view, in [0, 1], at any size.
        """
        if self.mask is None:
            return painted
        view, whole = self.view, self.photograph.clone()
        size = view.height, view.width
        if painted.shape[-2:] != size:
            painted = F.interpolate(painted, size=size, mode="bicubic").clamp(0, 1)
        rows, columns = slice(view.top, view.top + size[0]), slice(view.left, view.left + size[1])
        whole[..., rows, columns] = composite(painted, self.seen, view.cut(self.mask))
        return whole


def checked_mask(
    mask: Float[Tensor, "_ _"] | None, picture: Float[Tensor, "3 height width"], role: str
) -> Float[Tensor, "1 1 height width"] | None:
    """A mask that fits its picture.

    Raises:
        InputError: it has another size, numbers outside of [0, 1], or no white.
    """
    if mask is None:
        return None
    if mask.shape != picture.shape[1:]:
        (rows, columns), (height, width) = mask.shape, picture.shape[1:]
        raise InputError(
            f"the {role} mask has {columns} x {rows} pixels; give it the {width} x {height} of the "
            f"{role} image."
        )
    if not (bool((mask >= 0).all()) and bool((mask <= 1).all()) and bool((mask >= HALF).any())):
        raise InputError(
            f"the {role} mask should be 0 where its image takes no part and 1 where it does."
        )
    return mask[None, None]


def composite(
    painted: Float[Tensor, "1 3 height width"],
    photograph: Float[Tensor, "1 3 height width"],
    mask: Float[Tensor, "1 1 height width"] | None,
) -> Float[Tensor, "1 3 height width"]:
    """The photograph, painted as far as the mask is white."""
    return painted if mask is None else torch.lerp(photograph, painted, mask)


def view_of(
    picture: Float[Tensor, "1 3 height width"],
    mask: Float[Tensor, "1 1 height width"] | None,
    around: float = AROUND,
) -> View:
    """What takes part of a picture and some surroundings; without a mask all of it.

    Args:
        picture: to be seen.
        mask: above 0 where it takes part.
        around: how much of surroundings, as a share of the longer side.
    """
    sides = picture.shape[-2:]
    if mask is None:
        return View(0, 0, *sides)
    spans = []
    for axis in (3, 2):
        places = mask[0].amax((0, axis - 1)).nonzero()[:, 0]
        spans.append((int(places[0]), int(places[-1]) + 1))
    margin = round(around * max(end - start for start, end in spans))
    starts, lengths = [], []
    for (start, end), side in zip(spans, sides, strict=True):
        more = max(margin, (LEAST - (end - start) + 1) // 2)
        start, end = max(0, start - more), min(side, end + more)
        # At the picture's border, what cannot be seen on one side is seen on the other.
        start, end = max(0, min(start, end - LEAST)), min(side, max(end, start + LEAST))
        starts.append(start)
        lengths.append(end - start)
    return View(starts[0], starts[1], lengths[0], lengths[1])
