"""A model at work: one pass a picture, told by a picture, a mixture, a mode or a caption."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.domain.condition import Condition, together
from splice.domain.model import DomainModel
from splice.errors import InputError
from splice.method.clusters import k_means, nearest_centre
from splice.method.slopes import with_grain
from splice.pictures.images import read_image, resize_short_side

LARGEST = 2
"""Short side that is painted, at most, in sides that the model has learnt to paint."""


class Painter:
    """A model with what it needs to be told what to paint.

    Attributes:
        model: that paints.
        vit: the frozen transformer that it was trained with; None where captions are the condition.
    """

    def __init__(self, model: DomainModel, vit: FrozenViT | None) -> None:
        """Puts them together.

        Args:
            model: that paints.
            vit: on the model's device.

        Raises:
            InputError: the transformer has other weights than the one that the model was trained with.
        """
        known = None if vit is None or vit.provenance is None else vit.provenance.sha256
        if None not in (known, model.weights) and known != model.weights:
            raise InputError(
                f"the model was trained with other weights of {model.settings.backbone} (sha256 "
                f"{str(model.weights)[:12]}…, not {str(known)[:12]}…); name theirs with --weights."
            )
        self.model, self.vit = model, vit
        self.device = next(model.network.parameters()).device

    def look(self, file: Path) -> Condition:
        """The condition that a picture is.

        Raises:
            InputError: it cannot be read, or the model is told by captions.
        """
        if self.vit is None:
            raise InputError(
                f"{file} cannot say what to paint: this model is told by captions; give --text."
            )
        side = max(self.model.settings.size, self.model.settings.seen)
        image = read_image(file, short_side=side)[None].to(self.device)
        return self.model.condition_of(image, self.vit)

    @torch.no_grad()
    def paint(
        self,
        picture: Float[Tensor, "3 height width"],
        condition: Condition,
        short_side: int | None = None,
    ) -> Float[Tensor, "3 height width"]:
        """A picture painted at its own size, in [0, 1], on the CPU.

        A picture that is larger than what the network paints is painted small. Then what it has more
        than its own small copy is added, through the local affine map from copy to painting.

        Args:
            picture: in [0, 1].
            condition: of one picture.
            short_side: at most, of what the network paints; by default twice the size it learnt.
        """
        small = self._small(picture, short_side)
        painted = self.model.network(small[None].to(self.device), condition.to(self.device)).cpu()
        if small is picture:
            return painted[0]
        return with_grain(painted, small[None], picture[None])[0]

    @torch.no_grad()
    def masks(
        self,
        picture: Float[Tensor, "3 height width"],
        condition: Condition,
        short_side: int | None = None,
    ) -> Float[Tensor, "levels rows columns"]:
        """Where the condition counts at each level, deepest first, at the size that is painted.

        Raises:
            InputError: the model's layer has no masks.
        """
        small = self._small(picture, short_side)
        image, told = small[None].to(self.device), condition.to(self.device)
        return self.model.network.masks(image, told)[0].cpu()

    def _small(self, picture: Float[Tensor, "3 _ _"], short_side: int | None) -> Tensor:
        """The picture itself, or, where it is larger than what the network paints, a small copy."""
        most = short_side or LARGEST * self.model.settings.size
        return picture if min(picture.shape[1:]) <= most else resize_short_side(picture, most)

    def modes(
        self,
        files: Sequence[Path],
        count: int,
        seed: int = 0,
        seen: Callable[[int, int], object] = lambda done, total: None,
    ) -> list[Condition]:
        """The looks that a folder of pictures has: groups of like conditions, the largest first.

        The sentences are grouped by k-means. A mode is the mean sentence of its group; where there are
        words, the condition of the picture nearest to it, for words of several pictures have no mean.

        Args:
            files: pictures.
            count: of modes.
            seed: of the grouping.
            seen: is told how many of how many pictures have been looked at.

        Raises:
            InputError: fewer pictures than modes, or one that cannot be read.
        """
        if len(files) < count:
            raise InputError(
                f"--modes {count} needs as many pictures, and there are {len(files)}; "
                "give fewer modes or another folder."
            )
        seen(0, len(files))
        conditions = []
        for number, file in enumerate(files, 1):
            conditions.append(self.look(file).to("cpu"))
            seen(number, len(files))
        every = together(conditions)
        centres = k_means(every.sentence, count, torch.Generator().manual_seed(seed))
        group = nearest_centre(every.sentence, centres)
        sizes = torch.bincount(group, minlength=count)
        found = []
        for index in sizes.argsort(descending=True, stable=True).tolist():
            if sizes[index] == 0:
                continue
            # Not by how many words there are: one may be that of a single part.
            if self.model.settings.condition == "cls":
                found.append(Condition.of_sentence(centres[index : index + 1]))
            else:
                middle = int(torch.cdist(centres[index : index + 1], every.sentence).argmin())
                found.append(every[middle : middle + 1])
        return found


def mixed(conditions: Sequence[Condition], shares: Sequence[float]) -> Condition:
    """A condition between others: their mean, weighted.

    Words have no order. So each word of the first is mixed with the word of every other that is most
    like it, by their cosine.

    Args:
        conditions: of one picture each.
        shares: of each; what counts is their proportion. Negative ones lead away.

    Raises:
        InputError: the shares sum to nothing.
    """
    total = sum(shares)
    if abs(total) < 1e-9:
        raise InputError("the shares of --mix sum to 0; give some that sum to 1.")
    weights = [share / total for share in shares]
    first = conditions[0]
    sentence = _weighted([each.sentence for each in conditions], weights)
    own = first.words[first.present]
    matched = [own]
    for other in conditions[1:]:
        words = other.words[other.present]
        likeness = F.normalize(own, dim=-1) @ F.normalize(words, dim=-1).T
        matched.append(words[likeness.argmax(1)])
    words = _weighted(matched, weights)[None]
    present = torch.ones(words.shape[:2], dtype=torch.bool, device=words.device)
    return Condition(sentence, words, present)


def _weighted(
    values: Sequence[Float[Tensor, "*shape"]], weights: Sequence[float]
) -> Float[Tensor, "*shape"]:
    """The weighted sum of tensors of one shape."""
    return torch.stack([weight * value for value, weight in zip(values, weights, strict=True)]).sum(
        0
    )
