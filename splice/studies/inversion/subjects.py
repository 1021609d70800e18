"""Which inversions the settings ask for, and the pictures as these see them."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.patch_grid import resize_to_patches
from splice.errors import InputError
from splice.studies.inversion.prior import SMALLEST_SIDE
from splice.studies.inversion.settings import InversionSettings

Picture = Float[Tensor, "3 _height _width"]


@dataclass(frozen=True)
class Subject:
    """One inversion: which picture, which block, which seed."""

    image: int
    block: int
    seed: int


def subjects(settings: InversionSettings, vit: FrozenViT, images: int = 1) -> list[Subject]:
    """All inversions that the settings ask for: by picture, then seed, then block.

    Raises:
        InputError: a block that the backbone does not have.
    """
    blocks = settings.blocks
    if blocks == "all":
        blocks = tuple(range(1, vit.blocks + 1))
    elif blocks == "deepest":
        blocks = (vit.blocks,)
    for block in blocks:
        if not 1 <= block <= vit.blocks:
            raise InputError(
                f"--block {block}: {vit.backbone.name} has blocks 1 to {vit.blocks}, "
                f"block {vit.blocks} being the deepest."
            )
    return [
        Subject(image, block, settings.seed + seed)
        for image in range(images)
        for seed in range(settings.seeds)
        for block in dict.fromkeys(blocks)
    ]


def seen(image: Picture, vit: FrozenViT, size: int) -> Picture:
    """The picture as an inversion compares with it: at the size that the ViT takes.

    The short side becomes `size` and the long side, at most 480/224 of it, follows the aspect.

    Raises:
        InputError: a size below what the Deep Image Prior can draw.
    """
    long_side = size * 480 // 224
    resized = resize_to_patches(image[None], vit.patch, size, long_side)[0].clamp(0, 1)
    if min(resized.shape[1:]) < SMALLEST_SIDE:
        raise InputError(
            f"--size {size} is too small: the Deep Image Prior draws at least "
            f"{SMALLEST_SIDE} pixels a side."
        )
    return resized
