"""Features as maps over a picture: one vector or one value a patch."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from matplotlib import colormaps
from PIL import Image, ImageDraw
from torch import Tensor

from splice.backbones.features import Features
from splice.errors import InputError
from splice.pictures.images import to_pil

FeatureMap = Float[Tensor, "_rows _columns width"]


def feature_map(
    features: Features, kind: Literal["tokens", "keys", "queries", "values"], block: int
) -> Float[Tensor, "batch rows columns width"]:
    """The patches' vectors of one kind and block laid out as they lie in the picture; no [CLS]."""
    vectors = getattr(features, kind)[block]
    rows, columns = features.grid
    return vectors[:, -rows * columns :].unflatten(1, (rows, columns))


def similarity_maps(
    maps: Sequence[FeatureMap], image: int, row: int, column: int
) -> list[Float[Tensor, "_rows _columns"]]:
    """Cosine of one patch of one picture with every patch of all pictures, in [-1, 1].

    Args:
        maps: of one kind and block, one for each picture; sizes may differ.
        image: which of them the patch lies in.
        row: of the patch in that picture's map.
        column: likewise.
    """
    asked = F.normalize(maps[image][row, column], dim=0)
    return [F.normalize(each, dim=-1) @ asked for each in maps]


def patch_at(
    x: int | float, y: int | float, width: int, height: int, grid: tuple[int, int]
) -> tuple[int, int]:
    """Row and column of the patch that covers the point (x, y) of a picture of that size.

    Raises:
        InputError: the point lies outside the picture.
    """
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(
            f"the point {x:g},{y:g} lies outside the picture; "
            f"give X from 0 to {width - 1} and Y from 0 to {height - 1}"
        )
    rows, columns = grid
    return int(y * rows / height), int(x * columns / width)


def heat_map(
    values: Float[Tensor, "rows columns"],
    low: int | float | None = None,
    high: int | float | None = None,
    colours: str = "inferno",
) -> Float[Tensor, "3 rows columns"]:
    """Values as colours in [0, 1], dark for low and bright for high.

    Args:
        values: one a patch.
        low: drawn darkest; by default the least value.
        high: drawn brightest; by default the greatest value.
        colours: a colour map of matplotlib.
    """
    values = values.detach().float().cpu()
    low = values.min().item() if low is None else low
    high = values.max().item() if high is None else high
    scaled = (values - low) / max(high - low, 1e-12)
    coloured = colormaps[colours](scaled.clamp(0, 1).numpy())[..., :3]
    return torch.from_numpy(coloured).float().permute(2, 0, 1)


def over_picture(
    patches: Float[Tensor, "3 rows columns"], size: tuple[int, int], *, smooth: bool = True
) -> Image.Image:
    """One colour a patch, enlarged to a picture of (width, height) pixels.

    Args:
        patches: colours in [0, 1].
        size: width and height in pixels.
        smooth: bilinear between the patches' centres; otherwise each patch a flat rectangle.
    """
    how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return to_pil(patches).resize(size, how)


def mark_point(picture: Image.Image, x: int | float, y: int | float) -> Image.Image:
    """A copy of the picture with a ring around the point, visible on light and dark ground."""
    marked = picture.convert("RGB")
    if marked is picture:
        marked = picture.copy()
    draw = ImageDraw.Draw(marked)
    radius = max(4, min(marked.size) // 28)
    for colour, grown, line in (((0, 0, 0), 1, 4), ((255, 255, 255), 0, 2)):
        reach = radius + grown
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=colour, width=line)
    return marked
