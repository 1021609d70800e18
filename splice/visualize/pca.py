"""Principal components of features as colours."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def pca_colours(
    maps: Sequence[Float[Tensor, "_rows _columns width"]],
    *,
    components: Sequence[int] = (0, 1, 2),
    outside: float = 0.01,
) -> list[Float[Tensor, "3 _rows _columns"]]:
    """Three principal components of the features as red, green and blue in [0, 1].

    Fitted jointly over all pictures, so that the same part has the same colour in each (as in
    Oquab et al., "DINOv2", 2023, figure 1). A component's sign is arbitrary; the direction that
    makes its largest loading positive is taken, so that equal features give equal colours.

    Args:
        maps: of one kind and block, one for each picture; sizes may differ.
        components: which ones become red, green and blue, counted from 0, the strongest.
        outside: share of the patches at each end of a component that is cut off, so that a few
            odd patches do not take up the range of colours.

    Raises:
        ValueError: fewer features than the components asked for.
    """
    flat = torch.cat([each.detach().flatten(0, 1) for each in maps]).double().cpu()
    if max(components) >= min(flat.shape):
        raise ValueError(f"{min(flat.shape)} components at most, asked for {max(components) + 1}")
    centred = flat - flat.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    directions = vectors.flip(1)[:, list(components)]
    largest = directions.abs().argmax(0, keepdim=True)
    scores = centred @ (directions * directions.gather(0, largest).sign())
    low, high = scores.quantile(outside, dim=0), scores.quantile(1 - outside, dim=0)
    colours = ((scores - low) / (high - low).clamp_min(1e-12)).clamp(0, 1).float()
    sizes = [each.shape[:2] for each in maps]
    parts = colours.split([rows * columns for rows, columns in sizes])
    return [
        part.unflatten(0, size).permute(2, 0, 1) for part, size in zip(parts, sizes, strict=True)
    ]


def self_similarity_rows(
    maps: Sequence[Float[Tensor, "_rows _columns width"]],
) -> list[Float[Tensor, "_rows _columns patches"]]:
    """Each patch described by its cosines with the patches of all pictures, in [-1, 1].

    Of one picture these are the rows of its key self-similarity (Tumanyan et al., "Splicing ViT
    Features", CVPR 2022, equation 1), whose principal components the paper shows. Of several, the
    similarities across pictures belong to it, so that all are described by the same patches.
    """
    unit = [F.normalize(each.float(), dim=-1) for each in maps]
    every = torch.cat([each.flatten(0, 1) for each in unit])
    return [each @ every.T for each in unit]
