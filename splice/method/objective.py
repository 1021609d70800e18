"""Terms of the objective, each a pure function of pictures or features.

The first three are the paper's (Splice, section 3.3, eq. 2-5); the others are this project's. Images
are in [0, 1]; every term is 0 for a perfect result. `gamut`, `palette` and `lesson` hold the others.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Scalar = Float[Tensor, ""]

BRIGHTNESS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""

UNLIKE = 0.05
"""Variance of codes in a window, the mean of channels, at which it is half an outline."""

ROUNDING = 1e-5
"""Variance of brightness that is nothing: about that of rounding to 8 bits."""

SEEN = 0.03
"""Deviation of the structure image's brightness at which an outline counts half."""


def appearance_term(
    output: Float[Tensor, "batch width"], appearance: Float[Tensor, "batch width"]
) -> Scalar:
    """Mean squared difference of [CLS] tokens (Splice, eq. 3)."""
    return F.mse_loss(output, appearance)


def structure_term(
    output: Float[Tensor, "batch tokens tokens"], structure: Float[Tensor, "batch tokens tokens"]
) -> Scalar:
    """Mean squared difference of the self-similarities of keys (Splice, eq. 4)."""
    return F.mse_loss(output, structure)


def identity_term(
    reconstruction: Float[Tensor, "batch tokens width"],
    appearance: Float[Tensor, "batch tokens width"],
) -> Scalar:
    """Mean squared difference of keys between the appearance image and what G makes of it (eq. 5)."""
    return F.mse_loss(reconstruction, appearance)


class Nearest(NamedTuple):
    """Which tokens answer to which.

    Attributes:
        there: of the appearance image, for each of the output's.
        back: of the output, for each of the appearance image's.
    """

    there: Int[Tensor, " patches"]
    back: Int[Tensor, " others"]


def nearest_tokens(
    costs: Float[Tensor, "patches others"],
    likeness: Float[Tensor, "patches others"],
    meaning: float,
) -> Nearest:
    """For each token the other picture's that is nearest in look and meaning, from both sides.

    argmin over the other side of C - meaning·likeness, C being 1 - cosine of tokens: a relaxed earth
    mover's distance (Kolkin, Salavon, Shakhnarovich, "Style Transfer by Relaxed Optimal Transport and
    Self-Similarity", CVPR 2019, eq. 6), gated by meaning. Means over several matches would average
    stripes and spots away.

    Args:
        costs: C, of the output's tokens and the appearance image's.
        likeness: in meaning, of the structure image's patches and the appearance image's.
        meaning: how much likeness counts.
    """
    choice = costs.detach() - meaning * likeness
    return Nearest(choice.argmin(1), choice.argmin(0))


def token_costs(
    output: Float[Tensor, "patches width"], appearance: Float[Tensor, "others width"]
) -> Float[Tensor, "patches others"]:
    """1 - cosine of tokens, both centred on the appearance image's mean, in [0, 2]."""
    mean = appearance.mean(0)
    unit = F.normalize(output - mean, dim=-1)
    return 1 - unit @ F.normalize(appearance - mean, dim=-1).T


def nearest_term(
    costs: Float[Tensor, "patches others"],
    nearest: Nearest,
    counts: Float[Tensor, " patches"],
    mass: Float[Tensor, " others"],
) -> Scalar:
    """The mean cost of matched tokens, of the side on which it is larger.

    Args:
        costs: of the output's tokens and the appearance image's.
        nearest: which answer to which.
        counts: how much each of the output's tokens counts.
        mass: how much each of the appearance image's counts.
    """
    there = costs.gather(1, nearest.there[:, None])[:, 0]
    back = costs.gather(0, nearest.back[None])[0]
    return torch.maximum(weighted_mean(there, counts), weighted_mean(back, mass))


def colour_term(
    output: Float[Tensor, "patches 3"],
    appearance: Float[Tensor, "others 3"],
    nearest: Nearest,
    counts: Float[Tensor, " patches"],
    mass: Float[Tensor, " others"],
) -> Scalar:
    """Mean absolute difference of the mean colours of matched patches, the mean of both sides.

    Arguments as in `nearest_term`, with patches' mean colours in [0, 1].
    """
    there = (output - appearance[nearest.there]).abs().mean(1)
    back = (rows_at(output, nearest.back) - appearance).abs().mean(1)
    return (weighted_mean(there, counts) + weighted_mean(back, mass)) / 2


def even_counts(groups: Int[Tensor, " patches"], evenness: float) -> Float[Tensor, " patches"]:
    """How much each patch counts, so that small parts count nearly as much as large ones; mean 1.

    The size of a patch's group to the power of -evenness: at 0 every patch counts alike, at 1 every
    group. Without it an eye, one patch in a face of hundreds, may have any colour.
    """
    sizes = torch.bincount(groups).clamp_min(1).float()
    counts = sizes[groups] ** -evenness
    return counts / counts.mean()


def edge_term(
    output: Float[Tensor, "1 3 height width"],
    structure: Float[Tensor, "1 3 height width"],
    outlines: Float[Tensor, "1 1 height width"],
    radius: int,
) -> Scalar:
    """How much of the structure image's outlines cannot be read from the output any more, in [0, 1].

    The mean of `lost_detail` over windows, which count as far as they hold an outline, where meaning
    changes, that is to be seen. So stripes may grow on a
    coat, but lids, muzzles and legs stay where they are; and a dark cat before a bright wall may become
    a bright cat before a dark wall. It is the matting affinity of Luan et al. ("Deep Photo Style
    Transfer", CVPR 2017) the other way around: there the output is to be an affine function of the
    photograph, which would forbid new texture.

    Args:
        output: in [0, 1].
        structure: the structure image.
        outlines: how much windows are to count, in [0, 1], such as `outlines_of`.
        radius: of the square windows, in pixels.
    """
    if min(output.shape[-2:]) < 2 * radius + 1:
        return output.sum() * 0
    lost, counts = lost_detail(output, structure, radius)
    return (_windows(outlines, radius) * counts * lost).mean()


def lost_detail(
    output: Float[Tensor, "1 3 height width"],
    structure: Float[Tensor, "1 3 height width"],
    radius: int,
) -> tuple[Float[Tensor, "1 1 rows columns"], Float[Tensor, "1 1 rows columns"]]:
    """What cannot be read of the structure image's detail from the output, in square windows.

    Returns:
        In each window, the share of the variance of the structure image's brightness that no affine
        function of the output's brightness explains, 1 - correlation², in [0, 1]; and how far there is
        detail to be seen, v / (v + `SEEN`²), v being that variance.
    """
    x, y = brightness(structure), brightness(output)
    windows = _windows(torch.cat([x, y, x * x, y * y, x * y], 1), radius)
    mean, other, square, other_square, product = windows.split(1, 1)
    detail = (square - mean**2).clamp_min(0)
    ours = (other_square - other**2).clamp_min(0)
    explained = (product - mean * other) ** 2 / ((detail + ROUNDING) * (ours + ROUNDING))
    return 1 - explained, detail / (detail + SEEN**2)


def outlines_of(
    codes: Float[Tensor, "1 channels height width"], radius: int
) -> Float[Tensor, "1 1 height width"]:
    """Where meaning changes, in [0, 1]: v / (v + `UNLIKE`), v being the variance of codes around.

    Args:
        codes: of meaning, with variance 1 in each channel over a pair of pictures.
        radius: of the square windows around all pixels, at the border of what there is of them.
    """
    side = 2 * radius + 1
    mean, square = (
        F.avg_pool2d(x, side, 1, radius, count_include_pad=False) for x in (codes, codes * codes)
    )
    variance = (square - mean**2).clamp_min(0).mean(1, keepdim=True)
    return variance / (variance + UNLIKE)


def brightness(image: Float[Tensor, "batch 3 *size"]) -> Float[Tensor, "batch 1 *size"]:
    """The brightness of colours, in [0, 1]."""
    red, green, blue = image.split(1, 1)
    return BRIGHTNESS[0] * red + BRIGHTNESS[1] * green + BRIGHTNESS[2] * blue


def rows_at(
    values: Float[Tensor, "rows channels"], places: Int[Tensor, " places"]
) -> Float[Tensor, "places channels"]:
    """Rows of values, some of them often, whose gradient is summed in a fixed order."""
    if values.device.type == "cuda":
        return values[places]  # a GPU sorts what it adds; gathering, it would not
    return values.T.gather(1, places.expand(values.shape[1], -1)).T


def weighted_mean(values: Float[Tensor, " n"], weights: Float[Tensor, " n"]) -> Scalar:
    """The mean of values, by weights whose sum is not 0."""
    return (values * weights).sum() / weights.sum()


def _windows(
    maps: Float[Tensor, "1 maps height width"], radius: int
) -> Float[Tensor, "1 maps rows columns"]:
    """Means over square windows that overlap, one for every `radius` pixels."""
    return F.avg_pool2d(maps, 2 * radius + 1, stride=radius)
