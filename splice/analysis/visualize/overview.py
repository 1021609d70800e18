"""A look at what a backbone sees in some pictures: features taken once, shown in many ways."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from splice.analysis.visualize.correspondences import (
    draw_matches,
    mutual_nearest_neighbours,
    warp_by_nearest,
)
from splice.analysis.visualize.grids import labelled_grid, panel
from splice.analysis.visualize.maps import (
    feature_map,
    heat_map,
    mark_point,
    over_picture,
    patch_at,
    similarity_maps,
)
from splice.analysis.visualize.pca import pca_colours, self_similarity_rows, shared_colours
from splice.backbones.features import Features
from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.patch_grid import resize_to_patches
from splice.errors import InputError
from splice.pictures.images import to_pil

Kind = Literal["keys", "queries", "values", "tokens"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Picture = Float[Tensor, "3 _height _width"]


@dataclass(frozen=True)
class Look:
    """Features of some pictures, and pictures of those features (PIL).

    Attributes:
        images: as they were given.
        seen: the same at the size that the backbone saw, in [0, 1].
        features: of each picture, on the CPU, a batch of one; all kinds at all of `blocks`.
        blocks: from 1.
        names: of the pictures, for the rows of grids.
    """

    images: Sequence[Picture]
    seen: Sequence[Picture]
    features: Sequence[Features]
    blocks: Sequence[int]
    names: Sequence[str]

    def maps(self, kind: Kind = "keys", block: int | None = None) -> list[Tensor]:
        """The patches' features of each picture, (rows, columns, width).

        Args:
            kind: `keys`, `queries`, `values` or `tokens`.
            block: by default the deepest that was looked at.

        Raises:
            InputError: another block than those looked at.
        """
        block = self._block(block)
        return [feature_map(each, kind, block)[0] for each in self.features]

    def pca(self, kind: Kind | Literal["self-similarity"] = "keys") -> Image.Image:
        """Principal components as colours at each block, with several pictures the shared ones.

        With `self-similarity`, of the cosines of each patch's key with those of all patches.
        """

        def colours(block: int) -> list[Tensor]:
            maps = self.maps("keys" if kind == "self-similarity" else kind, block)
            if kind == "self-similarity":
                maps = self_similarity_rows(maps, compact=True)
            return pca_colours(maps) if len(maps) == 1 else shared_colours(maps)

        columns = [[self._enlarged(c, i) for i, c in enumerate(colours(b))] for b in self.blocks]
        return self._grid(columns, [f"block {block}" for block in self.blocks])

    def attention(self, block: int | None = None) -> Image.Image:
        """How much [CLS] attends to each patch at a block: the mean of the heads, then each.

        Each map is scaled on its own, as heads differ widely in how sharp they are, and its
        brightest hundredth is cut off: some backbones attend to a few odd patches above all.
        """
        block = self._block(block)
        heads = [each.attention[block][0] for each in self.features]
        maps = [torch.cat([h.mean(0, keepdim=True), h]) for h in heads]
        columns = []
        for column in range(len(maps[0])):
            values = (
                each[column].unflatten(0, features.grid)
                for each, features in zip(maps, self.features, strict=True)
            )
            heats = [heat_map(v, 0, v.quantile(0.99).item()) for v in values]
            columns.append([self._enlarged(heat, i) for i, heat in enumerate(heats)])
        return self._grid(columns, ["mean", *(f"head {h}" for h in range(1, len(maps[0])))])

    def similarity(
        self, x: int | float, y: int | float, kind: Kind = "keys", image: int = 0
    ) -> Image.Image:
        """Cosine of one point of a picture with all places of all pictures, at each block.

        Bright is similar; the scale of a column runs from its least value to its greatest.

        Args:
            x: in pixels of the picture as it was given, from the left.
            y: likewise, from the top.
            kind: of feature.
            image: which picture the point lies in, from 0.

        Raises:
            InputError: the point lies outside the picture.
        """
        height, width = self.images[image].shape[1:]
        row, column = patch_at(x, y, width, height, self.features[image].grid)
        columns = []
        for block in self.blocks:
            maps = similarity_maps(self.maps(kind, block), image, row, column)
            low = min(each.min().item() for each in maps)
            high = max(each.max().item() for each in maps)
            columns.append([self._enlarged(heat_map(m, low, high), i) for i, m in enumerate(maps)])
        scale = self.seen[image].shape[1] / height, self.seen[image].shape[2] / width
        marked = mark_point(to_pil(self.seen[image]), x * scale[1], y * scale[0])
        return self._grid(columns, [f"block {block}" for block in self.blocks], {image: marked})

    def correspondences(
        self, kind: Kind = "keys", block: int | None = None, count: int = 40
    ) -> Image.Image:
        """The two pictures with lines between patches that are each other's nearest.

        Args:
            kind: of feature.
            block: by default the deepest that was looked at.
            count: of lines at most, the most similar ones that keep a distance.

        Raises:
            InputError: not exactly two pictures.
        """
        self._pair()
        first, second = self.maps(kind, block)
        matches = mutual_nearest_neighbours(first, second)
        grids = (self.features[0].grid, self.features[1].grid)
        # As far apart as lets about three times the number of lines fit into the picture.
        apart = max(1.0, (grids[0][0] * grids[0][1] / (3 * count)) ** 0.5)
        left, right = (to_pil(each) for each in self.seen)
        return draw_matches(left, right, matches.spread(count, apart), *grids)

    def warped(self, kind: Kind = "keys", block: int | None = None) -> Image.Image:
        """Structure image, appearance image, and the second rearranged by what is nearest.

        Raises:
            InputError: not exactly two pictures.
        """
        self._pair()
        first, second = self.maps(kind, block)
        warped = warp_by_nearest(self.seen[1], second, first)
        pictures = [to_pil(each) for each in (*self.seen, warped)]
        labels = [*self.names, f"{self.names[1]}, warped"] if any(self.names) else ()
        return panel(pictures, labels, height=pictures[0].height)

    def tensors(self) -> dict[str, Tensor]:
        """All features by `image/kind/block`, images counted from 0, as they left the ViT.

        `tokens` (patches width); `keys`, `queries`, `values` (1+patches width), [CLS] first;
        `cls` (width); `attention` (heads patches).
        """
        kinds = ("cls", "tokens", "keys", "queries", "values", "attention")
        return {
            f"{index}/{kind}/{block}": getattr(features, kind)[block][0].contiguous()
            for index, features in enumerate(self.features)
            for kind in kinds
            for block in self.blocks
        }

    def _block(self, block: int | None) -> int:
        block = max(self.blocks) if block is None else block
        if block not in self.blocks:
            looked = ", ".join(map(str, self.blocks))
            raise InputError(f"block {block} was not looked at; there is {looked}")
        return block

    def _pair(self) -> None:
        if len(self.images) != 2:
            raise InputError(
                f"correspondences are between two pictures, not {len(self.images)}; give two."
            )

    def _enlarged(self, colours: Tensor, image: int) -> Image.Image:
        height, width = self.seen[image].shape[1:]
        return over_picture(colours, (width, height))

    def _grid(
        self,
        columns: Sequence[Sequence[Image.Image]],
        names: Sequence[str],
        originals: dict[int, Image.Image] | None = None,
    ) -> Image.Image:
        rows = [
            [(originals or {}).get(index, to_pil(seen)), *(column[index] for column in columns)]
            for index, seen in enumerate(self.seen)
        ]
        return labelled_grid(rows, ["picture", *names], self.names if any(self.names) else ())


@torch.no_grad()
def look(
    images: Picture | Sequence[Picture],
    vit: FrozenViT,
    blocks: Iterable[int] | Literal["all", "deepest"] = "deepest",
    *,
    size: int = 448,
    names: Sequence[str] = (),
) -> Look:
    """Takes all kinds of features of the pictures at the blocks.

    Args:
        images: sRGB in [0, 1], of any sizes.
        vit: the backbone.
        blocks: from 1.
        size: short side in pixels that the backbone sees, rounded to patches; more pixels, finer
            maps. The long side is cut down to 480/224 of it.
        names: of the pictures, for grids.

    Raises:
        InputError: a block that the backbone does not have.
    """
    images = [images] if isinstance(images, Tensor) else list(images)
    if blocks == "all":
        chosen = list(range(1, vit.blocks + 1))
    elif blocks == "deepest":
        chosen = [vit.blocks]
    else:
        chosen = sorted({int(block) for block in blocks})
    for block in chosen:
        if not 1 <= block <= vit.blocks:
            raise InputError(
                f"--block {block}: {vit.backbone.name} has blocks 1 to {vit.blocks}, "
                f"block {vit.blocks} being the deepest."
            )
    device = vit.embed.weight.device
    seen, features = [], []
    for image in images:
        resized = resize_to_patches(image[None], vit.patch, size, size * 480 // 224).clamp(0, 1)
        every = dict.fromkeys(("cls", "tokens", "keys", "queries", "values", "attention"), chosen)
        found = vit(resized.to(device), **every, short_side=None)
        on_cpu = {
            kind: {block: values.float().cpu() for block, values in getattr(found, kind).items()}
            for kind in every
        }
        seen.append(resized[0].cpu())
        features.append(Features(found.grid, **on_cpu))
    return Look(images, seen, features, chosen, list(names) or [""] * len(images))
