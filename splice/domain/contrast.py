"""Two paintings of one structure picture: alike under conditions of one picture, unlike under two."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def siamese_contrast(
    a: Float[Tensor, "batch width"],
    b: Float[Tensor, "batch width"],
    same: Bool[Tensor, " batch"],
    margin_near: float = 0.1,
    margin_far: float = 1.0,
) -> Float[Tensor, ""]:
    """1/2N Σ y·max(d, α)² + (1 − y)·max(ε − d, 0)², d being the distance of features.

    Yin et al., "Semantics Disentangling for Text-to-Image Generation" (SD-GAN, CVPR 2019), the
    contrastive loss of the Siamese branches. Features that are nearer than α are not drawn nearer, so
    that two captions of a picture may still differ in detail.

    Args:
        a: features of what the first branch painted, of a length near 1.
        b: likewise of the second.
        same: y, whether the two conditions are of the same picture.
        margin_near: α, distance below which those of the same picture are near enough.
        margin_far: ε, distance above which those of different ones are far enough.
    """
    distance = torch.linalg.vector_norm(a - b, dim=1)
    near = distance.clamp_min(margin_near).square()
    far = (margin_far - distance).clamp_min(0).square()
    return torch.where(same, near, far).mean() / 2
