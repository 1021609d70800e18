"""Coarse maps brought to pixels: each goes with the patches around that have its colour."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

REACH = 2
"""Patches that a pixel may go with, to each side of the one that it lies in."""

NEAR = 1.0
"""Deviation of the weights by distance, in patches."""

ALIKE = 0.5
"""Deviation of the weights by colour, in deviations of the colours of the patches around."""

ROUNDS = 2
"""How often what a patch's pixels lack of its value is added to them."""

LINE = 1 / 256
"""Half of the width of lines that say nothing, in short sides of the picture."""

FLAT = 1e-3
"""Variance of colours, over all three channels, that does not count."""


def bilateral_upsampling(
    coarse: Float[Tensor, "1 channels rows columns"], guide: Float[Tensor, "1 3 height width"]
) -> Float[Tensor, "1 channels height width"]:
    """A map of patches at the size of a picture, with the picture's edges.

    Joint bilateral upsampling (Kopf, Cohen, Lischinski, Uyttendaele, "Joint Bilateral Upsampling",
    SIGGRAPH 2007, eq. 3): a pixel has the mean of the patches around it, weighted by how near they are
    and how like their mean colour is to its own. How much colours differ is judged by how much they do
    in that place. Patches of one colour count more than patches that an edge crosses, as their values
    stand for one thing.

    A part smaller than a patch, such as an eye, is still outvoted by what lies around it. So what the
    mean of a patch's pixels lacks of its value is brought to them likewise (back-projection, Irani,
    Peleg, "Improving resolution by image registration", 1991). No value leaves the range of those
    around: there is no halo.

    Args:
        coarse: the map, a value for each patch.
        guide: the picture, in [0, 1].
    """
    weighted = _weighting(guide, *coarse.shape[-2:])
    highest = F.max_pool2d(coarse, 2 * REACH + 1, 1, REACH)
    lowest = -F.max_pool2d(-coarse, 2 * REACH + 1, 1, REACH)
    bounds = [F.interpolate(each, size=guide.shape[-2:]) for each in (lowest, highest)]
    fine = weighted(coarse)
    for _ in range(ROUNDS):
        lacking = coarse - F.interpolate(fine, size=coarse.shape[-2:], mode="area")
        fine = (fine + weighted(lacking)).clamp(*bounds)
    return fine


def _weighting(
    guide: Float[Tensor, "1 3 height width"], rows: int, columns: int
) -> Callable[[Tensor], Tensor]:
    """What brings maps of a grid of patches to pixels by weighted means."""
    height, width = guide.shape[-2:]
    # A whisker has the colour of the wall behind the cat, and not its meaning.
    guide = without_lines(guide, max(1, round(min(height, width) * LINE)))
    colours = F.interpolate(guide, size=(rows, columns), mode="area")
    squares = F.interpolate(guide * guide, size=(rows, columns), mode="area")
    within = (squares - colours * colours).clamp_min(0).sum(1, keepdim=True)
    trust = -(within + FLAT).log()
    scale = 2 * ALIKE**2 * (_variance_around(colours) + FLAT)
    scale = F.interpolate(scale, size=(height, width), mode="bilinear")
    down, right = (_places(n, m).to(guide) for n, m in ((height, rows), (width, columns)))

    def neighbours(step: int, places: Tensor, count: int) -> tuple[Tensor, Tensor]:
        chosen = (places.round().long() + step).clamp(0, count - 1)
        return chosen, (places - chosen).square() / (2 * NEAR**2)

    def at(maps: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return maps[:, :, row][:, :, :, column]

    steps = range(-REACH, REACH + 1)
    around = [
        (neighbours(i, down, rows), neighbours(j, right, columns)) for i in steps for j in steps
    ]
    weights = []
    for (row, below), (column, beside) in around:
        apart = (guide - at(colours, row, column)).square().sum(1, keepdim=True)
        far = below[:, None] + beside[None]
        weights.append(at(trust, row, column) - far - apart / scale)
    weights = torch.cat(weights, 1).softmax(1)

    middle, columns_of = down.round().long(), right.round().long()
    lines = middle.unique_consecutive(return_counts=True)
    strips = list(zip(*(each.tolist() for each in lines), strict=True))

    def weighted(coarse: Tensor) -> Tensor:
        side = 2 * REACH + 1
        patches = F.unfold(F.pad(coarse, (REACH,) * 4, mode="replicate"), side)
        patches = patches.view(-1, side * side, rows, columns)
        made, top = [], 0
        # Pixels of a column in one row of patches have the same neighbours: one product makes them all.
        for row, count in strips:
            values = patches[:, :, row].index_select(2, columns_of).permute(2, 0, 1)
            shares = weights[0, :, top : top + count].permute(2, 0, 1)
            made.append(torch.bmm(values, shares).permute(1, 2, 0))
            top += count
        return torch.cat(made, 1)[None].contiguous()

    return weighted


def without_lines(
    image: Float[Tensor, "1 3 height width"], radius: int
) -> Float[Tensor, "1 3 height width"]:
    """The medians of square windows: lines narrower than the radius go, edges stay as sharp.

    Args:
        image: in [0, 1].
        radius: of the windows, in pixels.
    """
    radius = min(radius, (min(image.shape[-2:]) - 1) // 2)
    # kornia's median takes 17 % longer, a sixth of a second to import, and has a black border.
    side = 2 * radius + 1
    windows = F.unfold(F.pad(image, (radius,) * 4, mode="reflect"), side)
    return windows.view(3, side * side, -1).median(1).values.view(image.shape)


def _places(pixels: int, patches: int) -> Float[Tensor, " pixels"]:
    """Where the middles of pixels lie, in patches from the middle of the first."""
    places = (torch.arange(pixels, dtype=torch.float64) + 0.5) * patches / pixels - 0.5
    return places.clamp(0, patches - 1)


def _variance_around(maps: Float[Tensor, "1 3 rows columns"]) -> Float[Tensor, "1 1 rows columns"]:
    """Variance of patches in the windows that a pixel's weights reach over, summed over channels."""
    padded, side = F.pad(maps, (REACH,) * 4, mode="replicate"), 2 * REACH + 1
    mean, square = F.avg_pool2d(padded, side, 1), F.avg_pool2d(padded * padded, side, 1)
    return (square - mean * mean).clamp_min(0).sum(1, keepdim=True)
