"""The published method: three terms on random views, and nothing else.

Tumanyan, Bar-Tal, Bagon, Dekel, "Splicing ViT Features for Semantic Appearance Transfer" (CVPR 2022),
section 3. The generator sees the structure image's view alone, and paints it from scratch.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.features import Features, self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.patch_grid import resize_to_patches
from splice.method import objective
from splice.method.learner import batched
from splice.method.protocol import Method, Paint
from splice.method.views import change_colours, draw_view

Role = Literal["structure", "appearance"]
Image = Float[Tensor, "1 3 height width"]

ENTIRE_EVERY = 75
"""Steps from one to the next in which the entire pair, unchanged, counts as well."""

LONG_SIDE = 480
"""Longest long side, in pixels, at which the transformer sees a view."""


@dataclass(frozen=True)
class Target:
    """A view of one of the two pictures with what the transformer sees in it."""

    image: Float[Tensor, "1 3 height width"]
    features: Features


class Published(Method):
    """The published method on one pair."""

    def __init__(self, *given: Any) -> None:
        """Remembers what to work on, as `Method` says."""
        super().__init__(*given)
        self.images: dict[Role, Tensor] = {
            "structure": self.structure,
            "appearance": self.appearance,
        }
        self._entire: dict[Role, Target] = {}

    def use(self, vit: FrozenViT) -> None:
        """Looks with the same model in another precision from now on."""
        self.vit = vit
        self._entire.clear()

    def inputs(self, top: int, bottom: int) -> Float[Tensor, "1 3 rows width"]:
        """Rows of what the generator is given: the structure image."""
        return self.structure[:, :, top:bottom]

    def kind(self, step: int) -> str:
        """What a step (from 0) does, in words."""
        return "views" if step % ENTIRE_EVERY else "views and the entire pair"

    def losses(self, step: int, paint: Paint) -> dict[str, Float[Tensor, ""]]:
        """The terms at a step (from 0), weighted (eq. 2)."""
        pairs = [(self.draw("structure"), self.draw("appearance"))]
        if step % ENTIRE_EVERY == 0:
            pairs.append((self.entire("structure"), self.entire("appearance")))
        sums: dict[str, Tensor] = {}
        for structure, appearance in pairs:
            for name, value in self._terms(structure, appearance, paint).items():
                sums[name] = sums.get(name, 0) + getattr(self.settings.objective, name) * value
        return sums

    def draw(self, role: Role) -> Target:
        """A random view of one of the pictures, the structure image's perhaps in other colours."""
        image = self.images[role]
        view = draw_view(image.shape[-2], image.shape[-1], self.random)
        part = view.cut(image)
        if role == "structure":
            part = change_colours(part, self.random)
        return self._described(part)

    def entire(self, role: Role) -> Target:
        """The entire picture, unchanged."""
        if role not in self._entire:
            self._entire[role] = self._described(self.images[role])
        return self._entire[role]

    def _terms(
        self,
        structure: Target,
        appearance: Target,
        paint: Paint,
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms of one view of each picture, unweighted; those of weight 0 are left out."""
        last, weights = self.vit.blocks, self.settings.objective
        inputs = [structure.image, appearance.image] if weights.identity else [structure.image]
        sides = self.settings.seen.short_side, LONG_SIDE
        sized = [resize_to_patches(each, self.vit.patch, *sides) for each in paint(inputs)]
        output, *reconstruction = batched(lambda images: self._see(images, None), sized)
        values: dict[str, Tensor] = {}
        if weights.appearance:
            values["appearance"] = torch.stack(
                [
                    objective.appearance_term(output.cls[b], appearance.features.cls[b])
                    for b in self._cls_blocks
                ]
            ).mean()
        if weights.structure:
            values["structure"] = objective.structure_term(
                self_similarity(output.keys[last]), self_similarity(structure.features.keys[last])
            )
        if weights.identity:
            values["identity"] = objective.identity_term(
                reconstruction[0].keys[last], appearance.features.keys[last]
            )
        return values

    @torch.no_grad()
    def _described(self, image: Image) -> Target:
        return Target(image, self._see(image, self.settings.seen.short_side))

    def _see(
        self, images: Float[Tensor, "batch 3 rows columns"], short_side: int | None
    ) -> Features:
        return self.vit(
            images,
            cls=self._cls_blocks,
            keys=[self.vit.blocks],
            short_side=short_side,
            long_side=LONG_SIDE,
        )

    @property
    def _cls_blocks(self) -> list[int]:
        return self.vit.blocks_at(self.settings.objective.cls_depths)
