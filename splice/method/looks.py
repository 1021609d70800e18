"""How the frozen transformer looks at a painted picture: whole, a little moved, at changing sizes.

A vision transformer cuts a picture into patches. Were they always the same patches, the painting would
learn their grid. So there is a dozen of looks, drawn once: of sizes around the wanted one, with a few
rows and columns left out, half of them in the mirror. What the structure image shows in each of them is
computed once and kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from splice.backbones.features import Features, self_similarity
from splice.method.views import View
from splice.method.wanted import mean_colours

COUNT = 12
"""Looks that are drawn."""

SIZES = (0.8, 1.2)
"""Range of the short side, in shares of the wanted one."""

MOVES = 14
"""Rows and columns that may be left out, of a picture with a short side of 256 pixels."""


@dataclass(frozen=True)
class Look:
    """One way to look at pictures of the structure image's size.

    Attributes:
        view: what is seen of the picture.
        short_side: in pixels, at which it is seen.
        similarity: of the deepest keys that the structure image has so.
        patches: of the structure image's own grid, under the middles of the patches that are seen.
        tokens: patch tokens that the structure image has so, by block, if they are kept.
        colours: mean colours of these patches.
    """

    view: View
    short_side: int
    similarity: Float[Tensor, "1 tokens tokens"]
    patches: Int[Tensor, " patches"]
    tokens: Mapping[int, Float[Tensor, "patches width"]]
    colours: Float[Tensor, "patches 3"]


@torch.no_grad()
def draw_looks(
    structure: Float[Tensor, "1 3 height width"],
    see: Callable[[Tensor, int], Features],
    patch: int,
    short_side: int,
    grid: tuple[int, int],
    seed: int,
    own: bool = True,
) -> list[Look]:
    """A dozen of looks at about that size.

    Args:
        structure: the structure image, in [0, 1].
        see: what is seen of a picture at a short side.
        patch: pixels along a patch.
        short_side: in pixels, around which the sizes lie.
        grid: rows and columns of patches that places are told in.
        seed: of the looks.
        own: whether the structure image's tokens are kept, which only a strength below 1 needs.
    """
    random = torch.Generator().manual_seed(seed)
    height, width = structure.shape[-2:]
    most = max(1, round(MOVES * min(height, width) / 256))
    looks = []
    for number in range(COUNT):
        share = SIZES[0] + (SIZES[1] - SIZES[0]) * torch.rand((), generator=random).item()
        side = max(1, int(short_side * share) // patch) * patch
        top, left = torch.randint(most, (2,), generator=random).tolist()
        view = View(top, left, height - top, width - left, flip=number % 2 == 1)
        part = view.cut(structure)
        seen = see(part, side)
        rows, columns = ((torch.arange(n) + 0.5) / n for n in seen.grid)
        rows, columns = view.source(rows, columns)
        rows = (rows / height * grid[0]).long().clamp(0, grid[0] - 1)
        columns = (columns / width * grid[1]).long().clamp(0, grid[1] - 1)
        patches = (rows[:, None] * grid[1] + columns).flatten().to(structure.device)
        keys = seen.keys[max(seen.keys)]
        tokens = {block: found[0].float() for block, found in seen.tokens.items() if own}
        colours = mean_colours(part, seen.grid)
        looks.append(Look(view, side, self_similarity(keys), patches, tokens, colours))
    return looks
