"""The appearance images as they take part: one or several, perhaps of each a part alone.

What a mask leaves out is cut away, or painted over with the mean colour of the rest, before anything is
seen of the picture. So no pixel of it can have a part in the output. Patches that lie in it correspond
to nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from splice.errors import InputError
from splice.method.masks import checked_mask, view_of
from splice.method.settings import Settings
from splice.pictures.images import resize_short_side

TAKES_PART, CLEARLY = 0.5, 0.9
"""Share of white from which on a patch takes part, and a pixel gives its colour."""

AROUND = 0.1
"""What is left around a part that is cut out, as a share of its longer side."""

Grid = tuple[int, int]


@dataclass(frozen=True)
class Patches:
    """The patches of a picture that take part.

    Attributes:
        grid: rows and columns of all patches.
        inside: numbers, row by row, of those that take part; None for all.
    """

    grid: Grid
    inside: Int[Tensor, " patches"] | None = None

    def of(self, values: Shaped[Tensor, "all *rest"]) -> Shaped[Tensor, "patches *rest"]:
        """The values of those that take part, of values of all patches."""
        return values if self.inside is None else values[self.inside]

    def halved(self) -> "Patches":
        """Those of a grid twice as fine that lie in these."""
        rows, columns = self.grid
        fine = (2 * rows, 2 * columns)
        if self.inside is None:
            return Patches(fine)
        inside = torch.zeros(rows * columns, dtype=torch.bool, device=self.inside.device)
        inside = inside.index_fill(0, self.inside, True).view(self.grid)
        inside = inside.repeat_interleave(2, 0).repeat_interleave(2, 1)
        return Patches(fine, inside.flatten().nonzero()[:, 0])

    def __len__(self) -> int:
        """How many take part."""
        return self.grid[0] * self.grid[1] if self.inside is None else len(self.inside)


@dataclass(frozen=True)
class Appearance:
    """An appearance image.

    Attributes:
        picture: in [0, 1].
        mask: 1 where it takes part; None where all of it does.
        weight: how readily its look is taken, beside others.
    """

    picture: Float[Tensor, "1 3 rows columns"]
    mask: Float[Tensor, "1 1 rows columns"] | None = None
    weight: float = 1.0

    @staticmethod
    def part_of(
        picture: Float[Tensor, "1 3 _ _"],
        mask: Float[Tensor, "1 1 _ _"] | None,
        weight: float = 1.0,
    ) -> "Appearance":
        """What a mask leaves of a picture; a mask that is white all over leaves it as it is."""
        if mask is None or bool((mask == 1).all()):
            return Appearance(picture, None, weight)
        view = view_of(picture, mask, AROUND)
        picture, mask = view.cut(picture), view.cut(mask)
        mean = (picture * mask).sum((2, 3), keepdim=True) / mask.sum()
        # A product with 0 is no more than 0, whatever stood there.
        return Appearance(picture * mask + mean * (1 - mask), mask, weight)

    def shrunk(self, side: int) -> "Appearance":
        """With a short side of at most so many pixels."""
        side = min(side, *self.picture.shape[-2:])
        return self._sized(resize_short_side(self.picture[0], side)[None])

    def resized(self, size: Sequence[int]) -> "Appearance":
        """With so many rows and columns."""
        picture = F.interpolate(self.picture, size=tuple(size), mode="bicubic", antialias=True)
        return self._sized(picture.clamp(0, 1))

    def _sized(self, picture: Tensor) -> "Appearance":
        mask = self.mask
        if mask is not None:
            mask = F.interpolate(mask, size=picture.shape[-2:], mode="area")
        return Appearance(picture, mask, self.weight)

    def patches(self, grid: Grid) -> Patches:
        """Those of a grid that take part."""
        return patches_in(self.mask, grid)

    def counts(self) -> Float[Tensor, "1 1 rows columns"]:
        """How much each pixel takes part, in [0, 1]."""
        return torch.ones_like(self.picture[:, :1]) if self.mask is None else self.mask

    def pixels(
        self, patches: Int[Tensor, " places"], grid: Grid, within: Float[Tensor, "2 places"]
    ) -> Int[Tensor, " places"]:
        """Pixels, counted row by row, one in each of some patches, of those that take part.

        Args:
            patches: numbers in the grid.
            grid: rows and columns of patches.
            within: where in its patch each lies, down and across, in [0, 1).
        """
        rows, columns = self.picture.shape[-2:]
        row = ((patches // grid[1] + within[0]) / grid[0] * rows).long().clamp(0, rows - 1)
        column = ((patches % grid[1] + within[1]) / grid[1] * columns).long()
        places = row * columns + column.clamp(0, columns - 1)
        if self.mask is None:
            return places
        clear = (self.mask >= self.mask.max().clamp_max(CLEARLY)).flatten().nonzero()[:, 0].cpu()
        owner = (clear // columns * grid[0] // rows) * grid[1] + clear % columns * grid[
            1
        ] // columns
        order = owner.argsort(stable=True)
        sizes = torch.bincount(owner, minlength=grid[0] * grid[1])
        starts = sizes.cumsum(0) - sizes
        # A patch of soft edges alone, or smaller than a pixel, takes any pixel.
        alone = sizes[patches] == 0
        first = torch.where(alone, torch.zeros_like(patches), starts[patches])
        count = torch.where(alone, torch.full_like(patches, len(clear)), sizes[patches])
        return clear[order[first + (within[0] * count).long()]]


def appearances_of(
    pictures: Sequence[Float[Tensor, "3 _ _"]],
    masks: Sequence[Float[Tensor, "_ _"] | None],
    weights: Sequence[float],
    device: torch.device,
) -> list[Appearance]:
    """The appearance images of a pair that have a weight.

    Args:
        pictures: in [0, 1].
        masks: one for each, or none; 1 where the look comes from.
        weights: of the looks, one for each, or none where all count alike.
        device: where to compute.

    Raises:
        InputError: a mask that does not fit its picture.
    """
    found = []
    for number, picture in enumerate(pictures):
        mask = checked_mask(masks[number] if masks else None, picture, "appearance")
        weight = weights[number] / max(weights) if weights else 1.0
        placed = None if mask is None else mask.to(device, torch.float32)
        if weight:
            found.append(
                Appearance.part_of(picture[None].to(device, torch.float32), placed, weight)
            )
    return found


def check_looks(
    pictures: Sequence[object], masks: Sequence[object], masked: bool, settings: Settings
) -> None:
    """Make sure that a run can be made of these looks.

    Args:
        pictures: the appearance images.
        masks: of them; one for each, or none.
        masked: whether the structure image has a mask.
        settings: of the run.

    Raises:
        InputError: numbers of pictures, masks and weights that do not go together, or more than the
            published method can do.
    """
    weights = settings.look_weights
    if settings.method == "paper" and (
        masked or len(pictures) > 1 or any(m is not None for m in masks)
    ):
        raise InputError(
            "the published method takes no masks and one appearance image; leave the others out, or "
            "choose another preset than paper."
        )
    if not pictures:
        raise InputError("there is no appearance image; give one or several.")
    images = "1 appearance image" if len(pictures) == 1 else f"{len(pictures)} appearance images"
    if masks and len(masks) != len(pictures):
        raise InputError(
            f"--appearance-mask names {len(masks)} files for {images}; give one for each image."
        )
    if weights and len(weights) != len(pictures):
        raise InputError(
            f"--look-weights has {len(weights)} numbers for {images}; give one for each image."
        )


def colours_in(
    appearances: Sequence[Appearance],
    patches: Sequence[Patches],
    drawn: Int[Tensor, " places"],
    within: Float[Tensor, "2 places"],
) -> Float[Tensor, "places 3"]:
    """Colours of pixels of several appearance images, one in each of some patches.

    Args:
        appearances: the pictures.
        patches: of each, those that take part.
        drawn: which patches, counted through those of all pictures; on the CPU.
        within: where in its patch each pixel lies, as `Appearance.pixels` takes it.
    """
    colours, start = appearances[0].picture.new_empty(len(drawn), 3), 0
    for appearance, part in zip(appearances, patches, strict=True):
        mine = ((drawn >= start) & (drawn < start + len(part))).nonzero()[:, 0]
        numbers = drawn[mine] - start
        if part.inside is not None:
            numbers = part.inside.cpu()[numbers]
        places = appearance.pixels(numbers, part.grid, within[:, mine])
        pixels = appearance.picture[0].flatten(1).T
        colours[mine.to(colours.device)] = pixels[places.to(colours.device)]
        start += len(part)
    return colours


def patches_in(mask: Float[Tensor, "1 1 rows columns"] | None, grid: Grid) -> Patches:
    """The patches of a grid that a mask leaves."""
    if mask is None:
        return Patches(grid)
    inside = taking_part(F.interpolate(mask, size=grid, mode="area"))
    return Patches(grid, inside.flatten().nonzero()[:, 0])


def taking_part(mask: Float[Tensor, "1 1 rows columns"]) -> Bool[Tensor, "1 1 rows columns"]:
    """Where it is half white, or else whitest."""
    return mask >= mask.max().clamp_max(TAKES_PART)


def in_a_row(values: Sequence[Float[Tensor, "_ *rest"]]) -> Float[Tensor, "patches *rest"]:
    """Values of several pictures' patches, picture after picture."""
    # One picture's are not copied: they would lie otherwise in memory, and be summed otherwise.
    return values[0] if len(values) == 1 else torch.cat(list(values))


def side_by_side(
    maps: Sequence[Float[Tensor, "1 channels _ _"]], border: bool = True
) -> Float[Tensor, "1 channels rows columns"]:
    """Maps of several pictures as those of one picture, the lower ones filled up below.

    Args:
        maps: from left to right.
        border: fill up with the last row, instead of with 0.
    """
    if len(maps) == 1:
        return maps[0]
    rows = max(each.shape[-2] for each in maps)
    padded = []
    for each in maps:
        below = (0, 0, 0, rows - each.shape[-2])
        padded.append(F.pad(each, below, mode="replicate") if border else F.pad(each, below))
    return torch.cat(padded, 3)
