"""Strength below 1: what is wanted lies between what the structure image has and what is lent to it.

The targets move, not the pixels: a patch is to look like something between what it was and its
counterpart. At strength 1 these are the terms of `objective`; at strength 0 the structure image itself
has none of them left.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.objective import Nearest, rows_at, weighted_mean

Rows = Float[Tensor, "_ channels"]


def nearest_between(
    output: Float[Tensor, "patches width"],
    own: Float[Tensor, "patches width"],
    appearance: Float[Tensor, "others width"],
    nearest: Nearest,
    counts: Float[Tensor, " patches"],
    mass: Float[Tensor, " others"],
    strength: float,
) -> Float[Tensor, ""]:
    """`objective.nearest_term`, each counterpart being as far from the patch's own token as wanted.

    Args:
        output: tokens of the output.
        own: of the structure image, in the same places.
        appearance: of the appearance image.
        nearest: which answer to which.
        counts: how much each of the output's tokens counts.
        mass: how much each of the appearance image's counts.
        strength: how far, in [0, 1].
    """
    mean = appearance.mean(0)
    there, back = _pairs(output, own, appearance, nearest, strength)
    costs = (1 - F.cosine_similarity(a - mean, b - mean) for a, b in (there, back))
    return torch.maximum(*map(weighted_mean, costs, (counts, mass)))


def colour_between(
    output: Float[Tensor, "patches 3"],
    own: Float[Tensor, "patches 3"],
    appearance: Float[Tensor, "others 3"],
    nearest: Nearest,
    counts: Float[Tensor, " patches"],
    mass: Float[Tensor, " others"],
    strength: float,
) -> Float[Tensor, ""]:
    """`objective.colour_term`, likewise; arguments as in `nearest_between`, with mean colours."""
    pairs = _pairs(output, own, appearance, nearest, strength)
    apart = ((a - b).abs().mean(1) for a, b in pairs)
    return sum(map(weighted_mean, apart, (counts, mass)), output.new_zeros(())) / 2


def _pairs(
    output: Rows, own: Rows, appearance: Rows, nearest: Nearest, strength: float
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """What is compared with what, from the output's side and from the appearance image's."""
    matched = rows_at(output, nearest.back)
    return (
        (output, torch.lerp(own, appearance[nearest.there], strength)),
        (matched, torch.lerp(own[nearest.back], appearance, strength)),
    )


def given_back(
    painted: Float[Tensor, "1 3 height width"],
    own: Float[Tensor, "1 3 height width"],
    photograph: Float[Tensor, "1 3 height width"],
    strength: float,
) -> Float[Tensor, "1 3 height width"]:
    """A painting with as much of what the generator cannot paint of the photograph as is wanted.

    Args:
        painted: at a strength, in [0, 1].
        own: what is painted at strength 0, which is to be the photograph and nearly is.
        photograph: in [0, 1].
        strength: of the painting.
    """
    return (painted + (1 - strength) * (photograph - own)).clamp(0, 1)
