"""What in one picture answers to what in another, by nearest features."""

import colorsys
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from PIL import Image, ImageDraw
from torch import Tensor

from splice.analysis.visualize.pca import centred

FeatureMap = Float[Tensor, "_rows _columns width"]


@dataclass(frozen=True)
class Matches:
    """Patches of two pictures that belong together, best first.

    Attributes:
        first: row and column in the first picture's map.
        second: row and column in the second picture's map.
        similarity: cosine of their features.
    """

    first: Int[Tensor, "matches 2"]
    second: Int[Tensor, "matches 2"]
    similarity: Float[Tensor, " matches"]

    def __len__(self) -> int:
        return len(self.similarity)

    def spread(self, count: int, apart: int | float = 2) -> "Matches":
        """The best matches whose patches keep that distance (in patches) in both pictures.

        Neighbouring patches tell the same; a drawing needs a few from everywhere.
        """
        kept: list[int] = []
        for index in range(len(self)):
            if len(kept) == count:
                break
            near = torch.zeros(1)
            if kept:
                gaps = [(side[kept] - side[index]).float() for side in (self.first, self.second)]
                near = torch.stack([gap.norm(dim=1).min() for gap in gaps]).min()
            if not kept or near >= apart:
                kept.append(index)
        return Matches(self.first[kept], self.second[kept], self.similarity[kept])


def mutual_nearest_neighbours(first: FeatureMap, second: FeatureMap) -> Matches:
    """Pairs of patches each of which is the other's nearest by cosine, best first.

    Each picture's own mean is taken off first: what all its patches share says nothing about
    which of them belong together, and the pictures' means differ with light and style.
    """
    cosines = _cosines(first, second)
    there, back = cosines.argmax(1), cosines.argmax(0)
    mutual = torch.nonzero(back[there] == torch.arange(len(there), device=there.device))[:, 0]
    similarity = cosines[mutual, there[mutual]]
    order = similarity.argsort(descending=True, stable=True)
    mutual, similarity = mutual[order], similarity[order]
    return Matches(
        _places(mutual, first.shape[1]), _places(there[mutual], second.shape[1]), similarity
    )


def warp_by_nearest(
    picture: Float[Tensor, "3 high wide"],
    features: FeatureMap,
    onto: FeatureMap,
    *,
    cells: int = 12_000,
) -> Float[Tensor, "3 high wide_out"]:
    """The picture rearranged into the layout of another: each place gets the colour of its nearest.

    A preview of what splicing will map to what. The features are interpolated between patches
    first, so that edges are finer than patches; what each cell gets is the mean colour of a cell of
    the picture.

    Args:
        picture: the appearance image, in [0, 1].
        features: its features.
        onto: features of the structure image.
        cells: about how many cells each picture is divided into, as far as that makes them
            no smaller than a quarter of a patch; time and memory grow with the square.

    Returns:
        A picture of the structure image's aspect in [0, 1], as high as `picture`.
    """
    patches = max(each.shape[0] * each.shape[1] for each in (features, onto))
    finer = min(4, max(1, int((cells / patches) ** 0.5)))
    source, target = (_interpolated(each, finer) for each in (features, onto))
    every = F.normalize(source.flatten(0, 1), dim=1).T
    places = target.flatten(0, 1).split(1024)
    nearest = torch.cat([(F.normalize(some, dim=1) @ every).argmax(1) for some in places])
    means = F.interpolate(picture[None], source.shape[:2], mode="bicubic", antialias=True)
    drawn = means[0].flatten(1)[:, nearest].unflatten(1, target.shape[:2])
    height = picture.shape[1]
    size = (height, max(1, round(height * onto.shape[1] / onto.shape[0])))
    return F.interpolate(drawn[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)


def draw_matches(
    first: Image.Image,
    second: Image.Image,
    matches: Matches,
    first_grid: tuple[int, int],
    second_grid: tuple[int, int],
    *,
    gap: int = 24,
) -> Image.Image:
    """Both pictures side by side with a line from each patch to its match.

    Lines are coloured by where they start, so that neighbours are told apart and a match that
    goes astray stands out.

    Args:
        first: drawn left.
        second: drawn right, scaled to the height of the first.
        matches: what to draw; see `Matches.spread` for a few from everywhere.
        first_grid: rows and columns of the first picture's map.
        second_grid: likewise of the second.
        gap: white pixels between the pictures.
    """
    width = max(1, round(second.width * first.height / second.height))
    second = second.convert("RGB").resize((width, first.height), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (first.width + gap + width, first.height), (255, 255, 255))
    sheet.paste(first.convert("RGB"), (0, 0))
    sheet.paste(second, (first.width + gap, 0))
    draw = ImageDraw.Draw(sheet)
    radius, line = max(3, first.height // 100), max(1, first.height // 200)
    for here, there in zip(matches.first.tolist(), matches.second.tolist(), strict=True):
        x, y = _centre(here, first_grid, first.size)
        to_x, to_y = _centre(there, second_grid, second.size)
        to_x += first.width + gap
        hue = (here[1] + 0.5) / first_grid[1] * 0.85
        light = 1.0 - 0.45 * (here[0] + 0.5) / first_grid[0]
        colour = tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.85, light))
        draw.line((x, y, to_x, to_y), fill=colour, width=line)
        for at in ((x, y), (to_x, to_y)):
            draw.circle(at, radius, fill=colour, outline=(255, 255, 255))
    return sheet


def _cosines(first: FeatureMap, second: FeatureMap) -> Float[Tensor, "here there"]:
    """Cosines of all patches of one map with all of another, each map's mean taken off."""
    here, there = (F.normalize(centred(each).flatten(0, 1), dim=1) for each in (first, second))
    return here @ there.T


def _interpolated(features: FeatureMap, finer: int) -> Float[Tensor, "rows columns width"]:
    """The map on a grid that many times finer, its mean taken off."""
    channels = centred(features).permute(2, 0, 1)[None]
    return F.interpolate(channels, scale_factor=finer, mode="bicubic")[0].permute(1, 2, 0)


def _places(index: Int[Tensor, " patches"], columns: int) -> Int[Tensor, "patches 2"]:
    return torch.stack([index // columns, index % columns], 1)


def _centre(place: list[int], grid: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    return (place[1] + 0.5) * size[0] / grid[1], (place[0] + 0.5) * size[1] / grid[0]
