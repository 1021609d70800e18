"""Random views of a pair: crops, flips, other colours, blur (Splice, section 3.3, "augmentations").

Where a view is cut is drawn on the host, so that sizes are known without asking the device; what is
done to its pixels runs where the picture is. All randomness comes from the generator given.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

CROP = 0.95
"""Smallest side of a crop, in shares of the height."""

FLIP, JITTER, BLUR = 0.5, 0.5, 0.2
"""Chances of a mirrored view, of other colours, and of a blurred view."""

BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.2, 0.1
"""Ranges of other colours; that of the hue in turns."""


@dataclass(frozen=True)
class View:
    """A rectangle of a picture in pixels, perhaps mirrored left to right."""

    top: int
    left: int
    height: int
    width: int
    flip: bool = False

    def cut(
        self, image: Float[Tensor, "batch channels rows columns"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The view of an image, or of any map of the same size."""
        rows = slice(self.top, self.top + self.height)
        part = image[..., rows, self.left : self.left + self.width]
        return part.flip(-1) if self.flip else part

    def source(
        self, rows: Float[Tensor, " rows"], columns: Float[Tensor, " columns"]
    ) -> tuple[Float[Tensor, " rows"], Float[Tensor, " columns"]]:
        """Where rows and columns of the view, in fractions of its sides, lie in the picture, in px."""
        columns = 1 - columns if self.flip else columns
        return self.top + rows * self.height, self.left + columns * self.width


def draw_view(height: int, width: int, generator: torch.Generator) -> View:
    """A random square crop, mirrored half of the time.

    Its side is U(`CROP`, 1) times the height, never wider than the picture; it lies anywhere with equal
    chance.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        generator: on the CPU.
    """
    share = CROP + (1 - CROP) * _uniform(generator)
    side = max(1, min(round(share * height), width, height))
    top, left = _place(height, side, generator), _place(width, side, generator)
    return View(top, left, side, side, _uniform(generator) < FLIP)


def change_colours(
    image: Float[Tensor, "batch 3 height width"], generator: torch.Generator
) -> Float[Tensor, "batch 3 height width"]:
    """Colour jitter and a slight blur, each with its chance; for views of the structure image.

    Brightness, contrast and saturation are multiplied by factors in 1 ± their range, the hue is
    turned by up to ± its range, in random order, as torchvision's `ColorJitter` does, which the
    authors use: contrast about the mean grey, saturation about each pixel's grey. The blur is
    Gaussian, 3×3 pixels, of a deviation in 0.1 to 2 pixels.
    """
    if _uniform(generator) < JITTER:
        from kornia import enhance  # here, as the default does without and starts sooner

        brightness, contrast, saturation = (
            1 + span * (2 * _uniform(generator) - 1) for span in (BRIGHTNESS, CONTRAST, SATURATION)
        )
        hue = HUE * (2 * _uniform(generator) - 1) * 2 * torch.pi
        changes = (
            lambda x: (x * brightness).clamp(0, 1),
            lambda x: enhance.adjust_contrast_with_mean_subtraction(x, contrast),
            lambda x: enhance.adjust_saturation_with_gray_subtraction(x, saturation),
            lambda x: enhance.adjust_hue(x, hue),
        )
        for index in torch.randperm(len(changes), generator=generator).tolist():
            image = changes[index](image)
    if _uniform(generator) < BLUR:
        from kornia import filters

        deviation = 0.1 + 1.9 * _uniform(generator)
        image = filters.gaussian_blur2d(image, (3, 3), (deviation, deviation))
    return image


def _place(length: int, side: int, generator: torch.Generator) -> int:
    return int(torch.randint(0, length - side + 1, (), generator=generator))


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
