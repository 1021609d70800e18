"""The terms of the objective, each a pure function of pictures or features.

The first three are the paper's (Splice, section 3.3, eq. 2-5); the others are this project's. Images
are in [0, 1]; every term is 0 for a perfect result.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Scalar = Float[Tensor, ""]

BRIGHTNESS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""

PART_GAP = 6.0
"""Between projections of patches within and without a part, which spread over a few units each."""

LAST_BITS = 2**12 - 1
"""A float32's last twelve bits, which the order of projected patches can do without."""

UNLIKE = 0.05
"""Variance of codes in a window, the mean of channels, at which it is half an outline."""

ROUNDING = 1e-5
"""Variance of brightness that is nothing: about that of rounding to 8 bits."""


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


def pixel_term(
    output: Float[Tensor, "batch 3 height width"], target: Float[Tensor, "batch 3 height width"]
) -> Scalar:
    """Mean absolute difference of pixels, in [0, 1]."""
    return (output - target).abs().mean()


def local_term(
    output: Float[Tensor, "patches width"],
    appearance: Float[Tensor, "others width"],
    meaning: Float[Tensor, "patches others"],
    semantics: float,
) -> Scalar:
    """How far the patch tokens are from tokens of the same meaning in the appearance view.

    With C_ij = 1 - cos(output_i, appearance_j), tokens centred on the appearance's mean, and D the
    semantic cost, each token is matched to argmin(C + semantics·D), from both sides; the larger of
    the two mean costs C of matched tokens counts: a relaxed earth mover's distance (Kolkin, Salavon,
    Shakhnarovich, "Style Transfer by Relaxed Optimal Transport and Self-Similarity", CVPR 2019, eq.
    6), gated by meaning.

    Args:
        output: tokens of the output view.
        appearance: tokens of the appearance view.
        meaning: semantic cost D, 1 - cosine of centred deepest keys, of structure and appearance.
        semantics: weight of D in the choice of matches.
    """
    mean = appearance.mean(0)
    unit = F.normalize(output - mean, dim=-1)
    cost = 1 - unit @ F.normalize(appearance - mean, dim=-1).T
    choice = cost.detach() + semantics * meaning
    forward = cost.gather(1, choice.argmin(1, keepdim=True)).mean()
    backward = cost.gather(0, choice.argmin(0, keepdim=True)).mean()
    return torch.maximum(forward, backward)


def semantic_cost(
    structure: Float[Tensor, "patches width"], appearance: Float[Tensor, "others width"]
) -> Float[Tensor, "patches others"]:
    """1 - cosine of keys, each picture's centred on its own mean, in [0, 2]."""
    unit = [F.normalize(keys - keys.mean(0), dim=-1) for keys in (structure, appearance)]
    return 1 - unit[0] @ unit[1].T


def colour_term(
    output: Float[Tensor, "batch 3 height width"],
    target: Float[Tensor, "batch 3 height width"],
    cells: int,
) -> Scalar:
    """Mean absolute difference of the mean colours of cells × cells equal parts."""
    means = [F.interpolate(image, size=(cells, cells), mode="area") for image in (output, target)]
    return (means[0] - means[1]).abs().mean()


def chroma_term(
    output: Float[Tensor, "batch 3 height width"],
    target: Float[Tensor, "batch 3 height width"],
    cells: int,
) -> Scalar:
    """Mean absolute difference of the mean colours of cells × cells parts, less their brightness.

    Stripes and spots may be of any brightness, so this can hold to the end where colours cannot.
    """
    means = [F.interpolate(image, size=(cells, cells), mode="area") for image in (output, target)]
    difference = means[0] - means[1]
    return (difference - brightness(difference)).abs().mean()


def edge_term(
    output: Float[Tensor, "1 3 height width"],
    structure: Float[Tensor, "1 3 height width"],
    outlines: Float[Tensor, "1 1 height width"],
    turned: Float[Tensor, "1 1 height width"],
    radius: int,
    contrast: float,
) -> Scalar:
    """How much of the structure image's outlines cannot be read from the output any more, in [0, 1].

    In each window, the share of the variance of the structure image's brightness that no affine
    function of the output's brightness explains, 1 - correlation²; the mean over windows. Windows
    count as far as they hold an outline, where meaning changes, that is to be seen. Stripes may grow
    on a coat and meadows on rock, but lids, muzzles and legs stay where they are. Where light has
    turned to dark, half of what is explained counts, or all where it was to turn. It is the matting
    affinity of Luan et al. ("Deep Photo Style Transfer", CVPR 2017) the other way around: there the
    output is to be an affine function of the photograph, which would forbid new texture.

    Args:
        output: painted from the view.
        structure: the view of the structure image.
        outlines: how much windows are to count, in [0, 1], such as `outlines_of`.
        turned: 1 where light is to turn to dark, as in `turned_light`, and 0 where it is not.
        radius: of the square windows, in pixels.
        contrast: deviation of the structure image's brightness at which a window counts half.
    """
    if min(output.shape[-2:]) < 2 * radius + 1:
        return output.sum() * 0
    detail, ours, together = _spread(structure, output, lambda maps: _windows(maps, radius))
    outlined, to_turn = _windows(torch.cat([outlines, turned], 1), radius).split(1, 1)
    counts = outlined * detail / (detail + contrast**2)
    explained = together**2 / ((detail + ROUNDING) * (ours + ROUNDING))
    explained = torch.where(together < 0, (1 + to_turn) / 2 * explained, explained)
    return (counts * (1 - explained)).mean()


def turned_light(
    structure: Float[Tensor, "1 3 rows columns"], target: Float[Tensor, "1 3 rows columns"]
) -> Float[Tensor, "1 1 rows columns"]:
    """Where the parts of a picture are to swap light and dark, in [0, 1].

    A dark cat before a bright wall that becomes a bright cat before a dark wall: 1 where, among the 5×5
    patches around one, brightness has a correlation below -0.5 with the brightness to come, 0 where it
    has none or a positive one.

    Args:
        structure: mean colours of the structure image's patches.
        target: mean colours that these patches are to get.
    """
    before, after, together = _spread(structure, target, lambda maps: means_around(maps, 2))
    deviations = ((before + ROUNDING) * (after + ROUNDING)).sqrt()
    return (-2 * together / deviations).clamp(0, 1)


SEPARATELY = 3
"""Radius of windows from which rows first and columns then take less time than all at once."""


def means_around(
    maps: Float[Tensor, "batch maps rows columns"], radius: int
) -> Float[Tensor, "batch maps rows columns"]:
    """Means over the square windows around all places; at the border, of what there is of them."""
    side = 2 * radius + 1
    if radius < SEPARATELY:
        return F.avg_pool2d(maps, side, 1, radius, count_include_pad=False)
    along = F.avg_pool2d(maps, (1, side), 1, (0, radius), count_include_pad=False)
    return F.avg_pool2d(along, (side, 1), 1, (radius, 0), count_include_pad=False)


def brightness(image: Float[Tensor, "batch 3 *size"]) -> Float[Tensor, "batch 1 *size"]:
    """The brightness of colours, in [0, 1]."""
    red, green, blue = image.split(1, 1)
    return BRIGHTNESS[0] * red + BRIGHTNESS[1] * green + BRIGHTNESS[2] * blue


def outlines_of(
    codes: Float[Tensor, "1 channels height width"], radius: int
) -> Float[Tensor, "1 1 height width"]:
    """Where meaning changes, in [0, 1]: v / (v + `UNLIKE`), v being the variance of codes around.

    Args:
        codes: of meaning, with variance 1 in each channel over a pair of pictures.
        radius: of the square windows around all pixels.
    """
    mean, square = (means_around(x, radius) for x in (codes, codes * codes))
    variance = (square - mean**2).clamp_min(0).mean(1, keepdim=True)
    return variance / (variance + UNLIKE)


def _spread(
    one: Float[Tensor, "1 3 height width"],
    other: Float[Tensor, "1 3 height width"],
    means: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Variances of both pictures' brightness and their covariance, in windows that `means` averages."""
    x, y = brightness(one), brightness(other)
    a, b, aa, bb, ab = means(torch.cat([x, y, x * x, y * y, x * y], 1)).split(1, 1)
    return (aa - a**2).clamp_min(0), (bb - b**2).clamp_min(0), ab - a * b


def _windows(
    maps: Float[Tensor, "1 maps height width"], radius: int
) -> Float[Tensor, "1 maps rows columns"]:
    """Means over square windows that overlap, one for every `radius` pixels."""
    return F.avg_pool2d(maps, 2 * radius + 1, stride=radius)


def patch_term(
    output: Float[Tensor, "samples pixels"],
    target: Float[Tensor, "samples pixels"],
    codes: Float[Tensor, "samples channels"],
    directions: Float[Tensor, "pixels projections"],
    code_directions: Float[Tensor, "channels projections"],
    alike: float,
) -> Scalar:
    """Distance of two distributions of patches that share their meaning.

    Sliced Wasserstein-1 distance (Bonneel et al., 2015; on patches of one image: Elnekave, Weiss,
    "Generating Natural Images with Direct Patch Distributions Matching", ECCV 2022) between the joint
    distributions of (patch of the output, code) and (patch of the appearance image, code): for each
    direction both sets are projected and sorted, and their ranks compared. The codes on both sides
    are those of the structure image, so that looks are compared within parts of the same meaning,
    without fixing where in a part a pattern lies. Random directions seldom tell an eye from all the
    rest of a face; so each direction also sets one part far apart, that of a sample and of all that are
    alike in meaning, and compares it by itself.

    Args:
        output: patches of the output, flattened.
        target: patches of the appearance image, drawn where the output's patches get their look.
        codes: meaning of the output's patches, which are in random order.
        directions: random directions of patches.
        code_directions: random directions of codes; their length says how much meaning separates.
        alike: cosine of codes above which two patches belong to one part; 1 for no parts.
    """
    meaning = codes @ code_directions
    if alike < 1:
        unit = F.normalize(codes, dim=-1)
        anchors = unit[torch.arange(directions.shape[1], device=unit.device) % len(unit)]
        meaning = meaning + PART_GAP * ((unit @ anchors.T > alike).to(codes) - 0.5)
    ours = _in_order((output @ directions + meaning).T.contiguous())
    theirs = _in_order((target @ directions + meaning).T.contiguous())
    return (ours - theirs).abs().mean()


def _in_order(values: Float[Tensor, "rows samples"]) -> Float[Tensor, "rows samples"]:
    """Each row from the smallest to the largest value; on a CPU NumPy sorts several times faster."""
    if values.device.type != "cpu":
        return values.sort(-1).values
    plain = values.detach().numpy()
    if not values.requires_grad:
        return torch.from_numpy(np.sort(plain, -1))
    return values.gather(-1, torch.from_numpy(_places_in_order(plain)))


def _places_in_order(values: Float[np.ndarray, "rows samples"]) -> Int[np.ndarray, "rows samples"]:
    """Where each row's values stand, from the smallest to the largest.

    Each value's place is written over its last bits, and both are sorted as one whole number,
    which takes about half the time of an argsort. Values that differ by less than those bits (one
    part in 4,096 at 2,048 samples) come in the order of their places.
    """
    places = np.arange(values.shape[-1], dtype=np.int32)
    taken = (1 << max(1, values.shape[-1] - 1).bit_length()) - 1
    if values.dtype != np.float32 or taken > LAST_BITS:
        return np.argsort(values, -1)
    bits = values.view(np.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # negative numbers in order, too
    return (np.sort((bits & ~taken) | places, -1) & taken).astype(np.int64)


def take_patches(
    image: Float[Tensor, "1 channels height width"],
    rows: Int[Tensor, " samples"],
    columns: Int[Tensor, " samples"],
    side: int,
) -> Float[Tensor, "samples pixels"]:
    """Patches of `side` × `side` pixels around given pixels, mirrored at the border, flattened."""
    radius = side // 2
    padded = F.pad(image, (radius,) * 4, mode="reflect")[0]
    channels, _, width = padded.shape
    offsets = torch.arange(side, device=image.device)
    pixels = (offsets[:, None] * width + offsets).flatten()
    # Gathering from flat rows, unlike indexing with two indices, sums its gradient in a fixed order.
    places = ((rows * width + columns)[:, None] + pixels).flatten()
    patches = padded.flatten(1).gather(1, places.expand(channels, -1))
    return patches.view(channels, len(rows), -1).transpose(0, 1).flatten(1)
