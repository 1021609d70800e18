"""What is wrong with a batch of paintings: the paper's terms, each pair measured by its own distance.

As in the default method, a term is divided by its value between the two pictures themselves, so that
a weight means the same for every pair, backbone and domain: at 1 nothing has been won. Near neighbours
can be nearly alike, so no pair is measured by less than half of what is usual in the domain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splice.backbones.features import self_similarity
from splice.backbones.frozen_vit import FrozenViT

LEAST = 0.5
"""Of what is usual in the domain, the least that a pair is measured by."""

BESIDE, EDGE = 5, 0.05
"""How much pixels beside edges count, over others, and the difference of a pixel from the mean of 5×5
around it at which that is half so."""


@dataclass(frozen=True)
class Seen:
    """What the frozen transformer sees in a batch of pictures.

    Attributes:
        cls: [CLS] of the blocks that are compared, from the shallowest.
        keys: of the deepest block, with that of [CLS].
        tokens: of the patches, leaving the deepest block.
        deepest: [CLS] of the deepest block, whether or not it is among those compared.
    """

    cls: tuple[Float[Tensor, "batch width"], ...]
    keys: Float[Tensor, "batch tokens width"]
    tokens: Float[Tensor, "batch patches width"]
    deepest: Float[Tensor, "batch width"]

    def __getitem__(self, rows: slice) -> "Seen":
        """What it sees in some of the pictures."""
        cls = tuple(each[rows] for each in self.cls)
        return Seen(cls, self.keys[rows], self.tokens[rows], self.deepest[rows])


def see(
    images: Float[Tensor, "batch 3 height width"], vit: FrozenViT, blocks: Sequence[int], side: int
) -> Seen:
    """What the transformer sees in pictures in [0, 1], differentiable in them.

    Args:
        images: to look at.
        vit: that looks.
        blocks: whose [CLS] is compared.
        side: short side, in pixels, at which it looks.
    """
    last = vit.blocks
    features = vit(
        images, cls={*blocks, last}, keys=[last], tokens=[last], short_side=side, long_side=None
    )
    cls = tuple(features.cls[block] for block in sorted(blocks))
    return Seen(cls, features.keys[last], features.tokens[last], features.cls[last])


@dataclass(frozen=True)
class Distances:
    """How far apart pictures of a batch are, pair by pair.

    Attributes:
        cls: mean squared difference of [CLS], by block.
        similarity: mean squared difference of the self-similarity of keys.
        keys: mean squared difference of keys.
        deepest: mean squared difference of the deepest [CLS].
    """

    cls: Float[Tensor, "blocks batch"]
    similarity: Float[Tensor, " batch"]
    keys: Float[Tensor, " batch"]
    deepest: Float[Tensor, " batch"]


def distances(one: Seen, other: Seen) -> Distances:
    """How far the pictures of one batch are from those of another."""
    return Distances(
        torch.stack([_apart(a, b) for a, b in zip(one.cls, other.cls, strict=True)]),
        _apart(self_similarity(one.keys), self_similarity(other.keys)),
        _apart(one.keys, other.keys),
        _apart(one.deepest, other.deepest),
    )


@dataclass(frozen=True)
class Usual:
    """What is usual between two pictures that are paired in a domain: medians over pairs.

    Attributes:
        cls: as in `Distances`, by block.
        similarity: likewise.
        keys: likewise.
        deepest: likewise.
    """

    cls: Float[Tensor, " blocks"]
    similarity: Float[Tensor, ""]
    keys: Float[Tensor, ""]
    deepest: Float[Tensor, ""]

    @staticmethod
    def of(found: Distances) -> "Usual":
        """The medians of some pairs."""
        return Usual(
            found.cls.median(1).values,
            found.similarity.median(),
            found.keys.median(),
            found.deepest.median(),
        )


def paper_terms(
    output: Seen, itself: Seen, structure: Seen, appearance: Seen, usual: Usual
) -> dict[str, Float[Tensor, ""]]:
    """The three terms of the paper, unweighted, means over the batch (Splice, eq. 3-5).

    - `appearance`: ‖cls(o) - cls(t)‖² / ‖cls(s) - cls(t)‖², the mean of blocks;
    - `structure`: ‖S(o) - S(s)‖² / ‖S(t) - S(s)‖²;
    - `identity`: ‖k(G(t)) - k(t)‖² / ‖k(s) - k(t)‖².

    Args:
        output: o, structure images painted under their condition.
        itself: G(t), appearance images in disguise, painted under their own condition.
        structure: s.
        appearance: t.
        usual: in the domain.
    """
    scales = distances(structure, appearance)
    look, shape = distances(output, appearance), distances(output, structure)
    same = distances(itself, appearance)
    return {
        "appearance": (look.cls / _scale(scales.cls, usual.cls[:, None])).mean(),
        "structure": (shape.similarity / _scale(scales.similarity, usual.similarity)).mean(),
        "identity": (same.keys / _scale(scales.keys, usual.keys)).mean(),
    }


def pixel_term(
    itself: Float[Tensor, "batch 3 height width"],
    appearance: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, ""]:
    """Mean absolute difference of an appearance image and of what its disguise is painted as.

    The default method's identity. Keys say little about colours, and this says them plainly. It is
    the mean over the picture at its own size and at a half, a quarter and an eighth of it: where a
    stripe should begin nobody can know, but how much of a place is white. At its own size pixels beside
    an edge count up to `BESIDE` times as much as others, else outlines stay soft.

    Args:
        itself: what was painted.
        appearance: as it is.
    """
    apart = itself - appearance
    around = F.avg_pool2d(appearance, 5, 1, 2, count_include_pad=False)
    edge = (appearance - around).abs().mean(1, keepdim=True)
    counts = 1 + (BESIDE - 1) * edge / (edge + EDGE)
    sizes = [apart * counts / counts.mean()]
    sizes += [F.avg_pool2d(apart, 2**level) for level in (1, 2, 3)]
    return torch.stack([each.abs().mean() for each in sizes]).mean()


def weighted(
    terms: Mapping[str, Float[Tensor, ""]], weights: Mapping[str, float]
) -> dict[str, Float[Tensor, ""]]:
    """The terms that count, weighted, and their sum "total"."""
    counted = {name: weights[name] * value for name, value in terms.items() if weights[name] > 0}
    return {**counted, "total": torch.stack(list(counted.values())).sum()}


def _apart(
    one: Float[Tensor, "batch *rest"], other: Float[Tensor, "batch *rest"]
) -> Float[Tensor, " batch"]:
    return (one - other).square().flatten(1).mean(1)


def _scale(between: Tensor, usual: Tensor) -> Tensor:
    scale = torch.maximum(between, LEAST * usual)
    # A domain of one picture many times has nothing to be measured by.
    return torch.where(scale > 0, scale, torch.ones_like(scale))


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
