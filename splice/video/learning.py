"""What one generator learns of several key frames: of each in turn what it would learn of a picture."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from splice.backbones.frozen_vit import FrozenViT
from splice.method.painting import Painting
from splice.method.protocol import Method, Paint
from splice.video.alike import Sights, agreed


class KeyFrames(Method):
    """The default method on several structure images of one size, one in each step."""

    def __init__(
        self, others: Sequence[Float[Tensor, "1 3 height width"]], first: Tensor, *given: Any
    ) -> None:
        """Remembers what to work on.

        Args:
            others: the key frames but the first, in [0, 1].
            first: the first.
            given: the rest, as `Method` takes it; without a mask.
        """
        super().__init__(first, *given)
        self._paintings = [Painting(frame, *given) for frame in (first, *others)]
        self.structure = self._paintings[0].structure
        self.appearances = self._paintings[0].appearances

    @cached_property
    def paintings(self) -> list[Painting]:
        """The method on each key frame; like patches of all have like counterparts."""
        paintings, meaning = self._paintings, self.settings.meaning
        if len(paintings) > 1:
            frames = [painting.structure for painting in paintings]
            vit = paintings[0].first_vit
            sights = Sights(vit, meaning.depths, meaning.short_side, frames)
            found = [painting.semantics.likeness for painting in paintings]
            for painting, likeness in zip(paintings, agreed(found, sights.tokens), strict=True):
                painting.semantics = replace(painting.semantics, likeness=likeness)
        return paintings

    @staticmethod
    def of(frames: Sequence[Float[Tensor, "3 height width"]]) -> "Callable[..., KeyFrames]":
        """What makes the method for a transfer whose structure image is the first of the frames."""

        def make(first: Tensor, *given: Any) -> KeyFrames:
            return KeyFrames([frame[None].to(first) for frame in frames[1:]], first, *given)

        return make

    @override
    def use(self, vit: FrozenViT) -> None:
        for painting in self._paintings:
            painting.use(vit)

    @override
    def spare(self, vit: FrozenViT) -> None:
        for painting in self._paintings:
            painting.spare(vit)

    @override
    def inputs(self, top: int, bottom: int) -> Float[Tensor, "1 inputs rows width"]:
        return self.paintings[0].inputs(top, bottom)

    @property
    @override
    def given_size(self) -> tuple[int, int]:
        return self.paintings[0].given_size

    @override
    def kind(self, step: int) -> str:
        return self._paintings[0].kind(step)

    @override
    def losses(self, step: int, paint: Paint) -> dict[str, Float[Tensor, ""]]:
        return self.paintings[step % len(self.paintings)].losses(step, paint)

    @override
    def first(
        self, step: int, photograph: Float[Tensor, "1 3 rows columns"]
    ) -> Float[Tensor, "1 3 rows columns"] | None:
        return self.paintings[0].first(step, photograph)

    @override
    @torch.no_grad()
    def delivered(
        self,
        painted: Float[Tensor, "1 3 height width"],
        photograph: Float[Tensor, "1 3 rows columns"],
    ) -> Float[Tensor, "1 3 rows columns"]:
        return self.paintings[0].delivered(painted, photograph)
