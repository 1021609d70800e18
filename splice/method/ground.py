"""What the generator of the default method is given, and what its parts should be like."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from splice.method import objective
from splice.method.addresses import Address, find_addresses
from splice.method.clusters import k_means, nearest_centre
from splice.method.detail import detail_of
from splice.method.lesson import Lesson
from splice.method.palette import Palettes, find_palettes
from splice.method.semantics import Semantics
from splice.method.settings import Settings

OUTLINE_CODES = 8
"""Channels of the codes that outlines are found from."""

OUTLINE_RADIUS = 3
"""Of the windows of outlines, in pixels of a picture with a short side of 256."""

DETAIL_RADII, FAINT = (3, 8, 24), 4e-3
"""Of the windows of detail, in such pixels, and variance of what counts as faint."""

GROUPS = 32
"""Groups of like patches, of which small ones count nearly as much as large ones."""


@dataclass(frozen=True)
class Ground:
    """What the generator is given and learns from, found once for a pair.

    Attributes:
        addresses: where the structure image's pixels belong in the appearance image.
        inputs: these, and the structure image's detail.
        lesson: the appearance image, to be painted likewise.
        outlines: where meaning changes in the structure image, in [0, 1].
        counts: how much each patch of the structure image counts; mean 1.
        palettes: colours that the structure image's parts should have.
    """

    addresses: Address
    inputs: Float[Tensor, "1 inputs height width"]
    lesson: Lesson
    outlines: Float[Tensor, "1 1 height width"]
    counts: Float[Tensor, " structure_patches"]
    palettes: Palettes


@torch.no_grad()
def find_ground(
    structure: Float[Tensor, "1 3 height width"],
    appearance: Float[Tensor, "1 3 rows columns"],
    semantics: Semantics,
    settings: Settings,
) -> Ground:
    """The ground of a pair.

    Args:
        structure: the structure image, in [0, 1], at the size of the painting.
        appearance: the appearance image, in [0, 1], of about that size.
        semantics: of the pair.
        settings: of the run.
    """
    random = torch.Generator().manual_seed(settings.seed)
    codes = semantics.patch_codes(semantics.codes.shape[1])
    groups = nearest_centre(codes, k_means(codes, GROUPS, random))
    palettes = find_palettes(appearance, semantics, settings.objective.evenness, random)
    ours, theirs = find_addresses(structure, appearance, semantics)
    detail, their_detail = (
        detail_of(image, [scaled(radius, image) for radius in DETAIL_RADII], FAINT, address)
        for image, address in ((structure, ours), (appearance, theirs))
    )
    return Ground(
        ours,
        torch.cat([ours, detail], 1).contiguous(memory_format=torch.channels_last),
        Lesson(appearance, theirs, their_detail, detail),
        objective.outlines_of(
            semantics.codes[:, :OUTLINE_CODES], scaled(OUTLINE_RADIUS, structure)
        ),
        objective.even_counts(groups, settings.objective.evenness),
        palettes,
    )


def scaled(radius: int, image: Float[Tensor, "1 3 height width"]) -> int:
    """A radius in pixels of a picture whose short side has 256, in those of this one; at least 1."""
    return max(1, round(radius * min(image.shape[-2:]) / 256))
