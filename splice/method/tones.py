"""The tone map: the structure image in the colours of the appearance image, part by part.

It takes a fraction of a second, keeps every detail of the photograph, and is the first picture of a
run. Soft parts of the structure image get the colours of the patches of the appearance image that mean
the same, each part by one affine map of its colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.appearances import Appearance, in_a_row
from splice.method.clusters import k_means
from splice.method.semantics import Semantics
from splice.method.settings import Tones
from splice.pictures.guided_filter import guided_upsampling

CODES = 24
"""Channels of the codes that tell parts apart."""

SAMPLES = 6_000
"""Pixels that parts are found from."""

FLOOR = 3e-4
"""Variance that is added to all colours, about that of rounding and of a sensor's noise."""

UNPAINTED = 1e-3
"""How much pixels count that are not painted: parts that have no others need maps as well."""

WEAKEST = 0.1
"""Least gain of a part's contrast: a part never becomes flat."""

RADIUS, TOLERANCE = 12, 1e-3
"""Of the window that brings maps to edges, in pixels, and variance of colour below which it is flat."""

PATCH_PIXELS = 8
"""Along a patch, where the moments of its colours are taken."""


@dataclass(frozen=True)
class Parts:
    """Soft parts of the structure image, and where each has its looks from.

    Attributes:
        members: how much each pixel belongs to each part; the sum over parts is 1.
        painted: likewise, of pixels that are not painted next to nothing.
        sources: the appearance images' patches that mean the same, as such shares.
    """

    members: Float[Tensor, "1 parts height width"]
    painted: Float[Tensor, "1 parts height width"]
    sources: Float[Tensor, "parts appearance_patches"]


@torch.no_grad()
def find_parts(
    semantics: Semantics,
    settings: Tones,
    seed: int = 0,
    mask: Float[Tensor, "1 1 height width"] | None = None,
) -> Parts:
    """The parts of a pair.

    Args:
        semantics: of the pair.
        settings: how many, and how soft.
        seed: of finding them.
        mask: 1 where the structure image is painted; None for all.
    """
    members = soft_parts(semantics, settings, seed)
    painted = members if mask is None else members * mask.clamp_min(UNPAINTED)
    places = F.interpolate(painted, size=semantics.structure_grid, mode="area")[0].flatten(1)
    places = places / places.sum(1, keepdim=True).clamp_min(1e-6)
    sources = places @ torch.softmax(semantics.likeness / settings.temperature, 1)
    return Parts(members, painted, sources)


@torch.no_grad()
def tone_maps(
    structure: Float[Tensor, "1 3 height width"],
    appearances: Sequence[Appearance],
    semantics: Semantics,
    parts: Parts,
    strongest: float,
    strength: float = 1.0,
) -> Float[Tensor, "1 12 height width"]:
    """Affine maps that give the structure image the colours of the appearance image, part by part.

    Each pixel's map is the mean of its parts' maps by its membership. A guided filter gives the maps
    the structure image's edges, so that none of a cow's map is left in the sky around it.

    Args:
        structure: the structure image, in [0, 1].
        appearances: the appearance images.
        semantics: of the pair.
        parts: likewise.
        strongest: most that a part's contrast is strengthened.
        strength: how far the maps are on their way from leaving colours as they are, in [0, 1].

    Returns:
        Maps as `splice.method.slopes.applied` takes them.
    """
    moments = []
    for each, patches in zip(appearances, semantics.patches, strict=True):
        moments.append([patches.of(m) for m in patch_moments(each.picture, patches.grid)])
    mean, second = map(in_a_row, zip(*moments, strict=True))
    wanted = parts.sources @ mean
    covariance = (parts.sources @ second.flatten(1)).view(-1, 3, 3) - _outer(wanted)
    weights, colours = parts.painted[0].flatten(1), structure[0].flatten(1).T
    present = weights @ colours / weights.sum(1, keepdim=True).clamp_min(1e-6)
    squares = torch.einsum("kp,pa,pb->kab", weights, colours, colours)
    own = squares / weights.sum(1)[:, None, None].clamp_min(1e-6) - _outer(present)
    floor = FLOOR * torch.eye(3).to(own)
    gains = bounded(monge_kantorovich(own + floor, covariance + floor), WEAKEST, strongest)
    offsets = wanted - (gains @ present[..., None])[..., 0]
    maps = torch.cat([gains.flatten(1), offsets], 1)
    if strength < 1:
        unchanged = torch.cat([torch.eye(3).flatten(), torch.zeros(3)]).to(maps)
        maps = torch.lerp(unchanged.expand_as(maps), maps, strength)
    maps = maps.T @ parts.members[0].flatten(1)
    maps = maps.reshape(1, 12, *parts.members.shape[-2:])
    return guided_upsampling(maps, structure, RADIUS, TOLERANCE)


def soft_parts(
    semantics: Semantics, settings: Tones, seed: int
) -> Float[Tensor, "1 parts height width"]:
    """How much each pixel of the structure image belongs to each part; the sum over parts is 1.

    Parts are groups of like codes, of which the first channels count most. Membership falls with the
    squared distance to a group's centre.
    """
    random = torch.Generator().manual_seed(seed)
    channels = min(CODES, semantics.codes.shape[1])
    fading = torch.linspace(1, 0.5, channels).to(semantics.codes)
    codes = semantics.codes[0, :channels].flatten(1).T * fading
    some = torch.randperm(len(codes), generator=random)[:SAMPLES].to(codes.device)
    centres = k_means(codes[some], settings.parts, random)
    width = 2 * settings.softness**2 * channels / 8
    members = torch.softmax(-torch.cdist(codes, centres).square() / width, 1)
    return members.T.reshape(1, -1, *semantics.codes.shape[-2:])


def patch_moments(
    image: Float[Tensor, "1 3 rows columns"], grid: tuple[int, int]
) -> tuple[Float[Tensor, "patches 3"], Float[Tensor, "patches 3 3"]]:
    """Mean, and mean of products, of the colours in each patch of a grid, row by row."""
    size = (grid[0] * PATCH_PIXELS, grid[1] * PATCH_PIXELS)
    pixels = F.unfold(
        F.interpolate(image, size=size, mode="area"), PATCH_PIXELS, stride=PATCH_PIXELS
    )
    pixels = pixels[0].view(3, PATCH_PIXELS**2, -1)
    products = torch.einsum("apm,bpm->mab", pixels, pixels) / PATCH_PIXELS**2
    return pixels.mean(1).T, products


def monge_kantorovich(
    own: Float[Tensor, "parts 3 3"], wanted: Float[Tensor, "parts 3 3"]
) -> Float[Tensor, "parts 3 3"]:
    """The linear map of least displacement that gives colours of one covariance the other.

    T = A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2), the optimal transport between Gaussians (Pitié,
    Kokaram, "The linear Monge-Kantorovitch linear colour mapping", CVMP 2007, eq. 13).

    Args:
        own: covariances A, positive definite.
        wanted: covariances B, positive definite.
    """
    root, inverse = _roots(own)
    return inverse @ _roots(root @ wanted @ root)[0] @ inverse


def bounded(
    maps: Float[Tensor, "parts 3 3"], weakest: float, strongest: float
) -> Float[Tensor, "parts 3 3"]:
    """Symmetric maps with the gains along their own axes kept within bounds."""
    values, vectors = torch.linalg.eigh(maps)
    return (vectors * values.clamp(weakest, strongest)[..., None, :]) @ vectors.mT


def _roots(covariances: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(covariances)
    root = values.clamp_min(0).sqrt()
    inverse = (vectors / root.clamp_min(1e-6)[..., None, :]) @ vectors.mT
    return (vectors * root[..., None, :]) @ vectors.mT, inverse


def _outer(means: Float[Tensor, "parts 3"]) -> Float[Tensor, "parts 3 3"]:
    return means[:, :, None] * means[:, None, :]
