"""Scores of one picture: how much structure it keeps, how much of the appearance it takes.

Every score compares an output with its structure image, its appearance image or both. The functions are
pure: features or pictures in, a number out, on the same device and in the same precision.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.analysis.scores.layout import foreground, layout
from splice.backbones.features import Features, self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.method.objective import lost_detail
from splice.pictures.given import AnyPicture, as_image
from splice.pictures.resizing import resize

SHORT_SIDE = 224
"""Pixels on the short side of what the judging backbone sees; the aspect is kept up to 480."""

COLOUR_SIDE = 128
"""Both pictures are resized to a square of this side before their colours are compared."""

DETAIL_SIDE, DETAIL_RADIUS = 256, 3
"""Short side of pictures of which detail is compared, and radius of the windows, in pixels."""

BETTER: dict[str, Literal["lower", "higher"]] = {
    "self_sim": "lower",
    "dino_i": "higher",
    "texture": "lower",
    "colour": "lower",
    "layout": "higher",
    "artefacts": "lower",
}
"""The scores by name, in the order of every table, and which direction is the better one."""


@dataclass(frozen=True)
class Scores:
    """The six scores of one output; `BETTER` says which direction of each is the better one.

    Attributes:
        self_sim: mean squared difference of key self-similarities, 0 (same structure) to 4.
        dino_i: cosine of the deepest [CLS] tokens of output and appearance, -1 to 1.
        texture: distance to the appearance's look in units of the structure's: 0 is the
            appearance's look, 1 the structure image's. NaN where both look exactly the same.
        colour: sliced Wasserstein-1 distance of the RGB values of output and appearance, 0 to 1.73.
        layout: overlap of the foreground of the structure with its like in the output, 0 to 1.
        artefacts: detail of the structure that is not to be read in the output, 0 to 1.
    """

    self_sim: float
    dino_i: float
    texture: float
    colour: float
    layout: float
    artefacts: float

    @staticmethod
    def mean(several: "Sequence[Scores]") -> "Scores":
        """Average the scores of several outputs of one pair, such as those of different seeds."""
        rows = [astuple(one) for one in several]
        return Scores(*(sum(column) / len(column) for column in zip(*rows, strict=True)))


def self_sim(
    output_keys: Float[Tensor, "tokens width"], structure_keys: Float[Tensor, "tokens width"]
) -> Float[Tensor, ""]:
    """Compute how far the self-similarity of an output is from that of its structure image.

    The mean over all token pairs of (cos(k_i, k_j) of the output - the same of the structure)^2,
    [CLS] included. Lower is better; 0 when every part relates to every other as it did.
    Source: "Splicing ViT Features for Semantic Appearance Transfer" (CVPR 2022), equation 3; used
    as a score by Ctrl-X (NeurIPS 2024).
    """
    of_output, of_structure = self_similarity(torch.stack([output_keys, structure_keys]))
    return F.mse_loss(of_output, of_structure)


def dino_i(
    output_cls: Float[Tensor, " width"], appearance_cls: Float[Tensor, " width"]
) -> Float[Tensor, ""]:
    """Compute the cosine of the deepest [CLS] tokens of output and appearance image, -1 to 1.

    The tokens leave the last block, before the final norm. Higher is better. Source: Ctrl-X (2024).
    """
    return F.cosine_similarity(output_cls, appearance_cls, dim=0)


def texture(
    output_cls: Float[Tensor, "blocks width"],
    structure_cls: Float[Tensor, "blocks width"],
    appearance_cls: Float[Tensor, "blocks width"],
) -> Float[Tensor, ""]:
    """Compute the distance to the appearance's look in units of the structure image's.

    The mean over blocks of ||cls(o) - cls(t)||^2 / ||cls(s) - cls(t)||^2, for the [CLS] tokens
    leaving the blocks of `texture_blocks`, where they hold local texture rather than object parts.
    Lower is better; NaN when structure and appearance have the same tokens, because then there is
    nothing to transfer.
    """
    distance = (output_cls - appearance_cls).square().sum(dim=1)
    unit = (structure_cls - appearance_cls).square().sum(dim=1)
    ratio = distance / unit
    return torch.where(unit > 0, ratio, torch.full_like(ratio, torch.nan)).mean()


def texture_blocks(blocks: int) -> tuple[int, ...]:
    """The blocks of `texture`, from 1: at 1/4, 1/2 and 3/4 of the depth, each once."""
    return tuple(sorted({max(1, round(blocks * quarter / 4)) for quarter in (1, 2, 3)}))


def colour(
    output: Float[Tensor, "3 height width"], appearance: Float[Tensor, "3 h w"]
) -> Float[Tensor, ""]:
    """Compute the sliced Wasserstein-1 distance between the RGB values of two pictures.

    Both pictures, in [0, 1], are resized to 128 x 128 (antialiased bicubic, aspect not kept: where
    a colour lies does not matter here). Their pixels are projected on 64 fixed directions of the
    RGB cube; along each, the distance is the mean absolute difference of the sorted values. Lower
    is better; the unit is the range of one channel.
    Source: Bonneel, Rabin, Peyre and Pfister, "Sliced and Radon Wasserstein Barycenters of
    Measures" (2015), for the exponent 1.
    """
    square = (COLOUR_SIDE, COLOUR_SIDE)
    directions = colour_directions().to(output)
    first, second = (
        (resize(picture, square).flatten(1).T @ directions.T).sort(dim=0).values
        for picture in (output, appearance.to(output))
    )
    return (first - second).abs().mean()


def colour_directions(number: int = 64) -> Float[Tensor, "number 3"]:
    """Draw the unit vectors of `colour`, uniform on the sphere and the same in every call."""
    generator = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(number, 3, generator=generator, dtype=torch.float64), dim=1)


def artefacts(
    output: Float[Tensor, "3 height width"], structure: Float[Tensor, "3 height width"]
) -> Float[Tensor, ""]:
    """Compute how much of the structure image's detail is not to be read in the output, 0 to 1.

    In windows of 7 × 7 pixels, of pictures with a short side of 256, the share of the variance of the
    structure image's brightness that no affine function of the output's explains: 1 - correlation².
    The mean over windows, which count as far as they have detail. No network is asked, so this sees
    what a backbone overlooks: ghosts, seams, smears and things that were put in. New texture counts as
    well, so a zebra is not as good as a horse. Lower is better.

    Args:
        output: in [0, 1], of the structure image's size.
        structure: the structure image, in [0, 1].
    """
    height, width = structure.shape[1:]
    scale = min(1.0, DETAIL_SIDE / min(height, width))
    size = round(height * scale), round(width * scale)
    ours, theirs = (resize(picture, size)[None] for picture in (output, structure))
    lost, counts = lost_detail(ours, theirs, DETAIL_RADIUS)
    return (lost * counts).sum() / counts.sum().clamp_min(1e-6)


class Judge:
    """Scores outputs of one pair; the features of its two images are extracted once.

    Args:
        vit: the judging backbone, at best in float32; it need not be the one that made the output.
        structure: the structure image, sRGB in [0, 1].
        appearance: the appearance image, sRGB in [0, 1].
    """

    def __init__(
        self,
        vit: FrozenViT,
        structure: Float[Tensor, "3 height width"],
        appearance: Float[Tensor, "3 h w"],
    ) -> None:
        self.vit = vit
        self.device = next(vit.parameters()).device
        self.size = (structure.shape[1], structure.shape[2])
        self.structure = structure.to(self.device)
        self.appearance = appearance.to(self.device)
        self._structure = self._features(self.structure)
        self._appearance = self._features(self.appearance)
        self._mask = foreground(self._structure.keys[vit.blocks][0, 1:], self._structure.grid)

    def __call__(self, output: Float[Tensor, "3 rows columns"]) -> Scores:
        """Score an output in [0, 1] of any size; it is resized to the structure image's first."""
        output = resize(output.to(self.device), self.size)
        o, s, t = self._features(output), self._structure, self._appearance
        deepest = self.vit.blocks
        shallow = [self._cls(features) for features in (o, s, t)]
        mask = foreground(o.keys[deepest][0, 1:], o.grid)
        height, width = self.size
        small = min(height, width) <= 2 * DETAIL_RADIUS
        lost = torch.nan if small else artefacts(output, self.structure).item()
        return Scores(
            artefacts=lost,
            self_sim=self_sim(o.keys[deepest][0], s.keys[deepest][0]).item(),
            dino_i=dino_i(o.cls[deepest][0], t.cls[deepest][0]).item(),
            texture=texture(*shallow).item(),
            colour=colour(output, self.appearance).item(),
            layout=layout(mask, self._mask).item(),
        )

    @torch.no_grad()
    def _features(self, image: Float[Tensor, "3 height width"]) -> Features:
        deepest = self.vit.blocks
        return self.vit(
            image[None],
            cls=(*texture_blocks(deepest), deepest),
            keys=(deepest,),
            short_side=SHORT_SIDE,
        )

    def _cls(self, features: Features) -> Float[Tensor, "blocks width"]:
        return torch.stack([features.cls[block][0] for block in texture_blocks(self.vit.blocks)])


def score(
    vit: FrozenViT, output: AnyPicture, structure: AnyPicture, appearance: AnyPicture
) -> Scores:
    """Compute the six scores of one output against its pair.

    The backbone sees each picture at a short side of 224 px with its aspect kept; the output is
    resized to the structure image's size first. `Judge` scores several outputs of one pair faster.

    Args:
        vit: the judging backbone.
        output: a file, a picture of Pillow's, an array or a tensor; see `AnyPicture`.
        structure: the structure image, likewise.
        appearance: the appearance image, likewise.

    Raises:
        InputError: one of them is no picture.
    """
    given = {"output": output, "structure image": structure, "appearance image": appearance}
    judged, *pair = (
        as_image(picture, f"the {name}", smallest=1) for name, picture in given.items()
    )
    return Judge(vit, *pair)(judged)
