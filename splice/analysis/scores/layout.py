"""Whether what is the foreground of a structure image is so in the output: one cut of each picture."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splice.backbones.features import self_similarity


def layout(
    output_mask: Bool[Tensor, "rows columns"], structure_mask: Bool[Tensor, "rows columns"]
) -> Float[Tensor, ""]:
    """Compute how well an output's two parts match the structure's foreground, 0 to 1.

    The intersection over union of the structure's foreground and that part of the output, its mask
    or the rest, which overlaps with it more: which part of a picture is called the foreground is
    arbitrary where there is no object, as in a landscape, and says nothing about the layout. Higher
    is better; 1 if both masks are empty. It stands in for the overlap of segmentations in "Splicing
    ViT Features for Semantic Appearance Transfer" (CVPR 2022), section 4.2.
    """
    overlaps = []
    for part in (output_mask, ~output_mask):
        union = (part | structure_mask).sum()
        shared = (part & structure_mask).sum()
        overlaps.append(torch.where(union > 0, shared / union, 1.0))
    return torch.stack(overlaps).amax()


def foreground(
    keys: Float[Tensor, "patches width"], grid: tuple[int, int], *, threshold: float = 0.0
) -> Bool[Tensor, "rows columns"]:
    """Separate the salient object from its surroundings by one normalised cut of the patches.

    The patches are the nodes of a graph; two of them are joined with weight 1 where the cosine of
    their keys, centred on the picture's mean key, is above `threshold` and with weight 1e-5
    elsewhere. The eigenvector of the second smallest eigenvalue of (D - W) x = lambda D x, split at
    its mean, cuts the graph in two. The foreground is the part that holds the entry of largest
    magnitude, unless that part holds three or four of the picture's corners: then it is the other.
    Source: Wang et al., "Self-Supervised Transformers for Unsupervised Object Discovery using
    Normalized Cut" (TokenCut, CVPR 2022), section 3.2; the rule of the corners is that of the
    authors' code. The centring is ours: the keys of DINOv2 share a large common part (no two
    patches of a photograph have a cosine below 0.6), so the paper's threshold of 0.2 on plain keys
    joins everything with everything. Left out: keeping only the component connected to the seed (a
    picture may show two animals) and the refinement of edges, needless between masks of patches.

    Args:
        keys: deepest keys of the patches, row by row, without [CLS].
        grid: rows and columns of patches.
        threshold: the cosine above which two patches belong together.
    """
    wide = keys.detach().to("cpu", torch.float64)
    centred = wide - wide.mean(dim=0)
    joined = self_similarity(centred[None])[0] > threshold
    weights = torch.where(joined, 1.0, 1e-5).to(torch.float64)
    scale = weights.sum(dim=1).rsqrt()
    # The symmetric form D^-1/2 W D^-1/2 has the same cut: x = D^-1/2 y, lambda = 1 - eigenvalue.
    _, vectors = torch.linalg.eigh(scale[:, None] * weights * scale[None, :])
    cut = scale * vectors[:, -2]
    side = cut > cut.mean()
    if not side[cut.abs().argmax()]:
        side = ~side
    mask = side.reshape(grid)
    corners = mask[[0, 0, -1, -1], [0, -1, 0, -1]].sum()
    return (~mask if corners >= 3 else mask).to(keys.device)
