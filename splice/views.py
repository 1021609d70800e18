"""Random views of a pair: crops, flips, other colours, blur (Splice, section 3.3, "augmentations").

Where a view is cut is drawn on the host, so that sizes are known without asking the device; what is
done to its pixels runs where the picture is. All randomness comes from the generator given.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from splice.settings import Views


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
        self, rows: Float[Tensor, " points"], columns: Float[Tensor, " points"]
    ) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
        """Where points of the view, in fractions of its sides, lie in the picture, in pixels."""
        columns = 1 - columns if self.flip else columns
        return self.top + rows * self.height, self.left + columns * self.width


def entire(image: Float[Tensor, "batch channels height width"]) -> View:
    """The view that leaves nothing out and changes nothing."""
    return View(0, 0, image.shape[-2], image.shape[-1])


def middle(image: Float[Tensor, "batch channels rows columns"], height: int, width: int) -> View:
    """The middle of an image."""
    rows, columns = image.shape[-2:]
    return View((rows - height) // 2, (columns - width) // 2, height, width)


def largest_middle(image: Float[Tensor, "batch channels height width"], largest: int) -> View:
    """The entire image, or as much of its middle as has the pixels of a square of side `largest`."""
    height, width = image.shape[-2:]
    if height * width <= largest**2:
        return entire(image)
    share = largest / (height * width) ** 0.5
    return middle(image, max(1, int(height * share)), max(1, int(width * share)))


def draw_view(height: int, width: int, settings: Views, generator: torch.Generator) -> View:
    """A random square crop, perhaps mirrored.

    Its side is U(crop, 1) times the height, never wider than the picture; it lies anywhere with equal
    chance. One that the settings' largest side cuts down has its middle anywhere with equal chance and
    is then moved into the picture, as small views would seldom reach the borders otherwise.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        settings: the range of sides, the largest, and the chance of a flip.
        generator: on the CPU.
    """
    share = settings.crop + (1 - settings.crop) * _uniform(generator)
    side = max(1, min(round(share * height), width, height))
    place = _place
    if side > settings.largest:
        side, place = settings.largest, _place_of_middle
    top, left = place(height, side, generator), place(width, side, generator)
    return View(top, left, side, side, _uniform(generator) < settings.flip)


def change_colours(
    image: Float[Tensor, "batch 3 height width"], settings: Views, generator: torch.Generator
) -> Float[Tensor, "batch 3 height width"]:
    """Colour jitter and a slight blur, each with its chance; for views of the structure image.

    Brightness, contrast and saturation are multiplied by factors in 1 ± their range, the hue is
    turned by up to ± its range, in random order, as torchvision's `ColorJitter` does, which the
    authors use: contrast about the mean grey, saturation about each pixel's grey. The blur is
    Gaussian, 3×3 pixels, of a deviation in 0.1 to 2 pixels.
    """
    if _uniform(generator) < settings.jitter:
        from kornia import enhance  # here, as the default does without and starts sooner

        brightness, contrast, saturation = (
            1 + span * (2 * _uniform(generator) - 1)
            for span in (settings.brightness, settings.contrast, settings.saturation)
        )
        hue = settings.hue * (2 * _uniform(generator) - 1) * 2 * torch.pi
        changes = (
            lambda x: (x * brightness).clamp(0, 1),
            lambda x: enhance.adjust_contrast_with_mean_subtraction(x, contrast),
            lambda x: enhance.adjust_saturation_with_gray_subtraction(x, saturation),
            lambda x: enhance.adjust_hue(x, hue),
        )
        for index in torch.randperm(len(changes), generator=generator).tolist():
            image = changes[index](image)
    if _uniform(generator) < settings.blur:
        from kornia import filters

        deviation = 0.1 + 1.9 * _uniform(generator)
        image = filters.gaussian_blur2d(image, (3, 3), (deviation, deviation))
    return image


def _place(length: int, side: int, generator: torch.Generator) -> int:
    return int(torch.randint(0, length - side + 1, (), generator=generator))


def _place_of_middle(length: int, side: int, generator: torch.Generator) -> int:
    middle = int(torch.randint(0, length, (), generator=generator))
    return min(max(0, middle - side // 2), length - side)


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
