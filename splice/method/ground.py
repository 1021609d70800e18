"""What the generator of the default method is given, and what its parts should be like."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method import objective
from splice.method.addresses import find_addresses, laid_together
from splice.method.appearances import Appearance, side_by_side
from splice.method.clusters import k_means, nearest_centre
from splice.method.detail import detail_of, without_detail
from splice.method.lesson import Lesson
from splice.method.noise import GRAINS, draw_noise
from splice.method.semantics import Semantics
from splice.method.settings import Settings

OUTLINE_CODES = 8
"""Channels of the codes that outlines are found from."""

OUTLINE_RADIUS = 3
"""Of the windows of outlines, in pixels of a picture with a short side of 256."""

DETAIL_RADII, FAINT = (1.5, 4, 10, 24), 4e-3
"""Of the windows of detail, in such pixels, and variance of what counts as faint."""

COLOURS = 3
"""Channels of the colours that the generator starts from, the last that it is given."""

NOISE = slice(-len(GRAINS) - COLOURS, -COLOURS)
"""Channels of noise, before these colours."""

DETAIL = slice(NOISE.start - len(DETAIL_RADII), NOISE.start)
"""Channels of detail, between the addresses and the noise."""

GROUPS = 32
"""Groups of like patches, of which small ones count nearly as much as large ones."""


@dataclass(frozen=True)
class Ground:
    """What the generator is given and learns from, found once for a pair.

    Attributes:
        inputs: in channels the addresses of the structure image's pixels (some for each lender),
            their detail, noise, and the colours to start from. Those of several lenders follow to
            the right.
        own: likewise as the structure image has them by itself; None at strength 1.
        lenders: pictures that lend addresses.
        lesson: these pictures, to be painted likewise.
        outlines: where meaning changes in the structure image, small, in [0, 1].
        counts: how much each patch of the structure image counts; of mean 1 without a mask.
    """

    inputs: Float[Tensor, "1 inputs rows columns"]
    own: Float[Tensor, "1 inputs rows columns"] | None
    lenders: tuple[Appearance, ...]
    lesson: Lesson
    outlines: Float[Tensor, "1 1 _ _"]
    counts: Float[Tensor, " structure_patches"]


@torch.no_grad()
def find_ground(
    structure: Float[Tensor, "1 3 height width"],
    appearances: Sequence[Appearance],
    semantics: Semantics,
    fine: Sequence[Float[Tensor, "_ token"]],
    settings: Settings,
    toned: Float[Tensor, "1 3 height width"],
    mask: Float[Tensor, "1 1 height width"] | None = None,
) -> Ground:
    """The ground of a pair.

    Args:
        structure: the structure image, in [0, 1], at the size of the painting.
        appearances: the appearance images, of about that size.
        semantics: of the pair.
        fine: tokens at half the spacing, as `find_fine_tokens` has them.
        settings: of the run.
        toned: the structure image in the appearance image's tones, whose colours are the first.
        mask: 1 where the structure image is painted; None for all.
    """
    strength, evenness = settings.strength, settings.objective.evenness
    random = torch.Generator().manual_seed(settings.seed)
    codes = semantics.patch_codes(semantics.codes.shape[1])
    groups = nearest_centre(codes, k_means(codes, GROUPS, random))
    counts = objective.even_counts(groups, evenness)
    if mask is not None:
        counts = counts * F.interpolate(mask, size=semantics.structure_grid, mode="area").flatten()
    ours, theirs = find_addresses(structure, appearances, semantics, fine, strength)
    lenders = (*appearances, *([Appearance(structure)] if strength < 1 else []))
    detail, *theirs_detail = (
        detail_at(image, address, len(lenders))
        for image, address in (
            (structure, ours),
            *zip((each.picture for each in lenders), theirs, strict=True),
        )
    )
    grids = [each.grid for each in semantics.patches]
    grids += [semantics.structure_grid] if strength < 1 else []
    pictures = [each.picture for each in lenders]
    colours = without_detail(toned, semantics.structure_grid)
    theirs_colours = [without_detail(*each) for each in zip(pictures, grids, strict=True)]
    lesson = Lesson.of(lenders, theirs, theirs_detail, theirs_colours, detail)
    beside = []
    if len(lenders) > 1:
        beside = [(lesson.addresses, lesson.detail, lesson.colours)]
    seed, own = settings.seed, None
    if strength < 1:
        own = _given([(theirs[-1], theirs_detail[-1], theirs_colours[-1]), *beside], seed)
    return Ground(
        _given([(ours, detail, colours), *beside], seed),
        own,
        lenders,
        lesson,
        objective.outlines_of(
            semantics.codes[:, :OUTLINE_CODES], scaled(OUTLINE_RADIUS, semantics.codes)
        ),
        counts,
    )


def detail_at(
    image: Float[Tensor, "1 3 height width"],
    address: Float[Tensor, "1 channels height width"],
    lenders: int,
) -> Float[Tensor, "1 radii height width"]:
    """The detail of a picture, in [0, 1], whose pixels have these addresses.

    Args:
        image: in [0, 1].
        address: of its pixels.
        lenders: how many pictures have channels of their own in it.
    """
    radii = [scaled(radius, image) for radius in DETAIL_RADII]
    return detail_of(image, radii, FAINT, laid_together(address, lenders))


def _given(
    told: Sequence[tuple[Tensor, Tensor, Tensor]], seed: int
) -> Float[Tensor, "1 inputs rows columns"]:
    """What the generator is given: codes, detail, noise, and last the colours to start from.

    Its norms take away what is alike all over an input, as the mark of a single lender is. So all
    lenders stand beside the picture, as they do in the lesson.

    Args:
        told: codes, detail and colours of the picture, and, where there are several, of the lenders.
        seed: of the noise.
    """
    codes, detail, colours = (side_by_side(each) for each in zip(*told, strict=True))
    noise = draw_noise(codes.shape[-2:], torch.Generator().manual_seed(seed), codes.device)
    together = torch.cat([codes, detail, noise, colours], 1)
    return together.contiguous(memory_format=torch.channels_last)


def scaled(radius: float | int, image: Float[Tensor, "1 _ height width"]) -> int:
    """A radius in pixels of a picture whose short side has 256, in those of this one; at least 1."""
    return max(1, round(radius * min(image.shape[-2:]) / 256))
