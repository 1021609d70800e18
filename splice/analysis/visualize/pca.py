"""Principal components of features as colours."""

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def centred(
    features: Float[Tensor, "rows columns width"],
) -> Float[Tensor, "rows columns width"]:
    """The features less their mean over the picture.

    What all patches of a picture share comes from its light, its style and what else is in it. It
    says nothing about which parts of two pictures belong together, and hides it.
    """
    return features.float() - features.float().mean((0, 1))


def pca_colours(
    maps: Sequence[Float[Tensor, "_rows _columns width"]],
) -> list[Float[Tensor, "3 _rows _columns"]]:
    """The three strongest principal components as red, green and blue in [0, 1].

    Fitted jointly over all pictures. The first and last hundredth of each component's values are
    cut off, so that a few odd patches do not take up the range of colours.

    Args:
        maps: features of one kind and block, one for each picture; sizes may differ.

    Raises:
        ValueError: fewer than three patches, or features of fewer than three dimensions.
    """
    flat = torch.cat([each.detach().flatten(0, 1) for each in maps]).double().cpu()
    middle = flat - flat.mean(0)
    return _colours(middle, middle.T @ middle, maps)


def shared_colours(
    maps: Sequence[Float[Tensor, "_rows _columns width"]],
) -> list[Float[Tensor, "3 _rows _columns"]]:
    """The three components that matching patches of the pictures share most, as colours in [0, 1].

    Joint principal components of two pictures often tell the pictures apart rather than their
    parts. Here each patch x is matched with the patch y of each other picture that is nearest by
    cosine, and the components are those of the symmetrised covariance of x and y: what varies alike
    in both counts, what varies in one alone does not. So the same part has the same colour in each
    picture. Features are centred in each picture and of unit length.

    Args:
        maps: features of one kind and block, of at least two pictures; sizes may differ.

    Raises:
        ValueError: fewer than two pictures, or features of fewer than three dimensions.
    """
    if len(maps) < 2:
        raise ValueError("components are shared by at least two pictures; one has pca_colours")
    units = [F.normalize(centred(each).flatten(0, 1).double().cpu(), dim=1) for each in maps]
    matched = [(here, there[(here @ there.T).argmax(1)]) for here, there in permutations(units, 2)]
    x, y = (torch.cat(side) for side in zip(*matched, strict=True))
    covariance = (x - x.mean(0)).T @ (y - y.mean(0))
    return _colours(torch.cat(units), covariance + covariance.T, maps)


def self_similarity_rows(
    maps: Sequence[Float[Tensor, "_rows _columns width"]], *, compact: bool = False
) -> list[Float[Tensor, "_rows _columns coordinates"]]:
    """Each patch described by its cosines with the patches of all pictures, in [-1, 1].

    Of the keys of one picture these are the rows of their self-similarity (Tumanyan et al.,
    "Splicing ViT Features", CVPR 2022, equation 1), whose principal components the paper shows. Of
    several, the similarities across pictures belong to it, so that all are described alike.

    Args:
        maps: keys, one map for each picture; sizes may differ.
        compact: give the rows in an orthonormal basis of the space that they span: lengths and
            angles, and so principal components, are the same, with at most `width` coordinates
            instead of one for every patch.
    """
    unit = [F.normalize(each.float(), dim=-1) for each in maps]
    every = torch.cat([each.flatten(0, 1) for each in unit])
    # every = basis · triangle, so the rows are unit · triangleᵀ · basisᵀ.
    across = torch.linalg.qr(every).R if compact else every
    return [each @ across.T for each in unit]


def _colours(
    scores_of: Float[Tensor, "patches width"],
    covariance: Float[Tensor, "width width"],
    maps: Sequence[Float[Tensor, "_rows _columns width"]],
) -> list[Float[Tensor, "3 _rows _columns"]]:
    """The patches' scores on the three leading eigenvectors, scaled to [0, 1], as they lie.

    An eigenvector's sign is arbitrary; the one that makes its largest loading positive is taken,
    so that equal features give equal colours.
    """
    if min(scores_of.shape) < 3:
        raise ValueError(
            f"three components need three patches and dimensions, not {scores_of.shape}"
        )
    directions = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :3]
    largest = directions.abs().argmax(0, keepdim=True)
    scores = scores_of @ (directions * directions.gather(0, largest).sign())
    low, high = scores.quantile(0.01, dim=0), scores.quantile(0.99, dim=0)
    colours = ((scores - low) / (high - low).clamp_min(1e-12)).clamp(0, 1).float()
    sizes = [tuple(each.shape[:2]) for each in maps]
    parts = colours.split([rows * columns for rows, columns in sizes])
    return [
        part.unflatten(0, size).permute(2, 0, 1) for part, size in zip(parts, sizes, strict=True)
    ]
