"""Tokens between the patches, and addresses that are as fine.

A leg, an eye, a nose may be smaller than a patch, or lie across two. Seen again, moved by half a patch,
it is in the middle of one. Amir et al., "Deep ViT Features as Dense Visual Descriptors" (2021), let
patches overlap in one pass for that; here each pass has the patches that the transformer knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.patch_grid import resize_to_patches
from splice.method.appearances import Appearance, Patches, in_a_row, patches_in
from splice.method.correspondence import ITSELF, SPREAD
from splice.method.semantics import LONG_SIDE, joined_tokens, unmirrored
from splice.method.settings import Meaning

STRIP = 1024
"""Fine patches whose likeness to all others is held at a time."""


@torch.no_grad()
def find_fine_tokens(
    vit: FrozenViT,
    structure: Float[Tensor, "1 3 height width"],
    appearances: Sequence[Appearance],
    settings: Meaning,
    mask: Float[Tensor, "1 1 _ _"] | None = None,
) -> list[Float[Tensor, "_ token"]]:
    """What `Semantics.tokens` has, at half the spacing: the structure image's, then the others'.

    Args:
        vit: the frozen transformer.
        structure: the structure image, in [0, 1].
        appearances: the appearance images.
        settings: how large pictures are seen, and which blocks say what corresponds.
        mask: 1 where the structure image is painted; None for all.

    Returns:
        Of length 1, row by row, in the grids of `Patches.halved`.
    """
    blocks = vit.blocks_at(settings.depths)
    tokens, grids = [], []
    for image in (structure, *(each.picture for each in appearances)):
        found, grid = _seen_finely(vit, image, blocks, settings.short_side)
        tokens.append(found)
        grids.append(grid)
    theirs = [
        each.patches(grid).halved() for each, grid in zip(appearances, grids[1:], strict=True)
    ]
    return joined_tokens(tokens, patches_in(mask, grids[0]).halved(), theirs)


def _seen_finely(
    vit: FrozenViT, image: Float[Tensor, "1 3 _ _"], blocks: Sequence[int], short_side: int
) -> tuple[list[Float[Tensor, "_ width"]], tuple[int, int]]:
    """Tokens by block at half a patch's spacing, row by row, and the grid of patches.

    They are those of four views, which lie a quarter of a patch to each side of the picture, and of
    these views in the mirror.
    """
    sized = resize_to_patches(image, vit.patch, short_side, LONG_SIDE)
    rows, columns = sized.shape[-2:]
    half = vit.patch // 2
    before = half // 2
    padded = F.pad(sized, (before, half - before) * 2, mode="replicate")
    grid = (rows // vit.patch, columns // vit.patch)
    fine = sized.new_empty(len(blocks), *grid, 2, 2, vit.width)
    for down, right in product((0, 1), repeat=2):
        view = padded[..., down * half : down * half + rows, right * half : right * half + columns]
        seen = vit(torch.cat([view, view.flip(-1)]), tokens=blocks, short_side=None)
        for number, block in enumerate(blocks):
            fine[number, :, :, down, right] = unmirrored(seen.tokens[block], grid).unflatten(
                0, grid
            )
    return list(fine.transpose(2, 3).reshape(len(blocks), -1, vit.width)), grid


@dataclass(frozen=True)
class Tokens:
    """Tokens of the patches of one or several pictures, and of patches twice as fine.

    Attributes:
        patches: which take part, of each picture.
        coarse: their tokens, of length 1, picture after picture.
        fine: likewise, of `Patches.halved`.
    """

    patches: tuple[Patches, ...]
    coarse: Float[Tensor, "patches token"]
    fine: Float[Tensor, "fine_patches token"]

    @staticmethod
    def of(
        patches: Sequence[Patches],
        coarse: Sequence[Float[Tensor, "_ token"]],
        fine: Sequence[Float[Tensor, "_ token"]],
    ) -> "Tokens":
        """The tokens of those that take part, of the tokens of all patches of each picture."""
        return Tokens(
            tuple(patches),
            in_a_row([part.of(each) for part, each in zip(patches, coarse, strict=True)]),
            in_a_row([part.halved().of(each) for part, each in zip(patches, fine, strict=True)]),
        )

    def around(self) -> tuple[Int[Tensor, "fine_patches 4"], Float[Tensor, "fine_patches 4"]]:
        """The four patches around each fine one, and their shares in bilinear interpolation."""
        places, shares, start = [], [], 0
        for each in self.patches:
            place, share = around(each)
            places.append(place + start)
            shares.append(share)
            start += len(each)
        device = self.coarse.device
        return torch.cat(places).to(device), torch.cat(shares).to(device)


def finely_lent(
    likeness: Float[Tensor, "patches others"],
    ours: Tokens,
    theirs: Tokens,
    codes: Float[Tensor, "fine_others channels"],
    temperature: float,
) -> Float[Tensor, "fine_patches channels"]:
    """Means of codes by a softmax over likeness, of patches twice as fine.

    Fine patches have the likeness of the patches around, by bilinear interpolation in both pictures.
    What counts of the patch itself is replaced by what the fine tokens say.

    Args:
        likeness: of patches, as `correspondence_to_all` tells it.
        ours: who asks.
        theirs: who lends.
        codes: of the fine ones of these.
        temperature: of the softmax.
    """
    alone = ours.coarse @ theirs.coarse.T
    gain = ITSELF / SPREAD / alone.std().clamp_min(1e-6)
    neighbours = _mixed((likeness - gain * alone).T, *theirs.around()).T
    strips = zip(*(each.split(STRIP) for each in (ours.fine, *ours.around())), strict=True)
    lent = []
    for tokens, places, shares in strips:
        scores = _mixed(neighbours, places, shares) + gain * (tokens @ theirs.fine.T)
        lent.append(torch.softmax(scores / temperature, 1) @ codes)
    return torch.cat(lent)


def around(patches: Patches) -> tuple[Int[Tensor, "fine 4"], Float[Tensor, "fine 4"]]:
    """The four patches around each patch twice as fine, and their shares in bilinear interpolation.

    Those that do not take part have no share.

    Args:
        patches: of a picture; numbers count those that take part.
    """
    sides = []
    for count in patches.grid:
        place = (torch.arange(2 * count) + 0.5) / 2 - 0.5
        low = place.floor()
        share = place - low
        both = torch.stack([low, low + 1], 1).long().clamp(0, count - 1)
        sides.append((both, torch.stack([1 - share, share], 1)))
    (rows, high), (columns, wide) = sides
    places = rows[:, None, :, None] * patches.grid[1] + columns[None, :, None, :]
    shares = high[:, None, :, None] * wide[None, :, None, :]
    places, shares = places.reshape(-1, 4), shares.reshape(-1, 4)
    if patches.inside is None:
        return places, shares
    inside = patches.inside.cpu()
    number = torch.full((patches.grid[0] * patches.grid[1],), -1)
    number[inside] = torch.arange(len(inside))
    fine = patches.halved().inside
    assert fine is not None
    places, shares = number[places[fine.cpu()]], shares[fine.cpu()]
    shares = shares * (places >= 0)
    return places.clamp_min(0), shares / shares.sum(1, keepdim=True)


def _mixed(
    values: Float[Tensor, "patches width"],
    places: Int[Tensor, "fine 4"],
    shares: Float[Tensor, "fine 4"],
) -> Float[Tensor, "fine width"]:
    """The mean of four values each, by their shares."""
    mixed = values[places[:, 0]] * shares[:, :1]
    for corner in range(1, 4):
        mixed = mixed + values[places[:, corner]] * shares[:, corner, None]
    return mixed
