"""The lesson: the appearance image, to be painted from its own addresses and its own detail.

This is what the generator learns first, and does not forget while the transformer looks at the other
picture. What it paints there is in the hand that it learnt here: real fur, real rock, real skies.
It is the published method's identity term in pixels (Splice, section 3.3, eq. 5).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.detail import foreign_detail

SIZES = (0.7, 1.3)
"""Range of the size at which it is shown, so that no pixel can be learnt by heart."""

NOISE = 0.1
"""Deviation of the noise that is added to what the generator is given."""

FOREIGN = 1.0
"""Most that foreign detail is strengthened before it is added."""


@dataclass(frozen=True)
class Lesson:
    """What the generator learns of the appearance image.

    Attributes:
        picture: the appearance image, in [0, 1].
        addresses: of its pixels.
        detail: its own.
        foreign: the structure image's detail.
    """

    picture: Float[Tensor, "1 3 rows columns"]
    addresses: Float[Tensor, "1 channels rows columns"]
    detail: Float[Tensor, "1 radii rows columns"]
    foreign: Float[Tensor, "1 radii height width"]

    def draw(
        self, random: torch.Generator
    ) -> tuple[Float[Tensor, "1 inputs _ _"], Float[Tensor, "1 3 _ _"]]:
        """What the generator is given, and what it should paint: at some size, perhaps mirrored.

        Args:
            random: on the CPU.
        """
        share, mirrored, strength = torch.rand(3, generator=random).tolist()
        share = SIZES[0] + (SIZES[1] - SIZES[0]) * share
        size = [max(1, int(share * side)) for side in self.picture.shape[-2:]]
        addresses, detail, picture = (
            F.interpolate(maps, size=size, mode="bilinear", antialias=True)
            for maps in (self.addresses, self.detail, self.picture)
        )
        detail = detail + FOREIGN * strength * foreign_detail(
            [self.foreign, self.detail], size, random
        )
        given = torch.cat([addresses, detail], 1)
        noise = torch.randn(given.shape, generator=random).to(given)
        given = given + NOISE * noise
        return (given.flip(-1), picture.flip(-1)) if mirrored < 0.5 else (given, picture)
