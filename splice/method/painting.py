"""The default method: a picture painted afresh over the toned structure image, as a whole.

The generator sees the structure image, what its pixels mean, noise, and the toned picture as logits,
and adds to those. The frozen transformer looks at the whole output. What it sees should have the
appearance image's look: [CLS] tokens of several blocks, patch tokens nearest in look and meaning, their
colours. And it should have the structure image's shapes: self-similarity of the deepest keys, outlines.
No pixel of the appearance image is copied.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.features import Features, self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.method import objective
from splice.method.gamut import gamut_term
from splice.method.ground import Ground, find_ground, outline_radius
from splice.method.looks import Look, draw_looks
from splice.method.palette import palette_term
from splice.method.protocol import Method, Paint
from splice.method.semantics import LONG_SIDE
from splice.method.wanted import Wanted, find_wanted

MEANING = 0.28
"""How much likeness in meaning counts beside looks when tokens are matched."""


class Painting(Method):
    """The default method on one pair."""

    def __init__(self, *given: Any) -> None:
        """Remembers what to work on, as `Method` says."""
        super().__init__(*given)
        # What is found once for the pair is found in the precision that the run starts with.
        self.first_vit = self.vit
        self._looks: dict[int, list[Look]] = {}

    def use(self, vit: FrozenViT) -> None:
        """Looks with the same model in another precision from now on."""
        self.vit = vit
        self._looks.clear()
        vars(self).pop("wanted", None)

    def spare(self, vit: FrozenViT) -> None:
        """Looks with the same model, which takes less memory, from now on."""
        self.first_vit, self.vit = self.first_vit.spared(), vit

    def inputs(self, top: int, bottom: int) -> Float[Tensor, "1 inputs rows width"]:
        """Rows of what the generator is given."""
        return self.ground.inputs[:, :, top:bottom]

    def kind(self, step: int) -> str:
        """What a step (from 0) does, in words."""
        return f"seen at {self._side(step)} px"

    def losses(self, step: int, paint: Paint) -> dict[str, Float[Tensor, ""]]:
        """The terms at a step (from 0), weighted.

        Args:
            step: steps done.
            paint: what the generator paints for inputs.
        """
        weights, look = self.settings.objective, self.draw(step)
        output = self.finished(paint([self.ground.inputs])[0])
        seen = self._look(look.view.cut(output), look.short_side)
        terms = {
            "appearance": self._appearance(seen),
            "structure": objective.structure_term(
                self_similarity(seen.keys[self.vit.blocks]), look.similarity
            )
            / self.wanted.similarity_scale,
            **self._nearest(seen, look, look.view.cut(output)),
            "edges": objective.edge_term(
                output, self.structure, self.ground.outlines, outline_radius(self.structure)
            ),
            "gamut": gamut_term(output, self.wanted.gamut),
            "palette": palette_term(output, self.ground.palettes),
            "change": objective.change_term(output, self.ground.toned),
        }
        return {name: getattr(weights, name) * value for name, value in terms.items()}

    def finished(
        self, painted: Float[Tensor, "1 3 height width"]
    ) -> Float[Tensor, "1 3 height width"]:
        """The toned picture with what was painted over it."""
        return self.ground.finished(painted)

    def delivered(
        self,
        painted: Float[Tensor, "1 3 height width"],
        photograph: Float[Tensor, "1 3 rows columns"],
    ) -> Float[Tensor, "1 3 rows columns"]:
        """The same at the size of a photograph, and as sharp."""
        return self.ground.delivered(painted, photograph)

    def _appearance(self, seen: Features) -> Float[Tensor, ""]:
        wanted = self.wanted
        return _mean(
            objective.appearance_term(seen.cls[block], token) / wanted.scales[block]
            for block, token in wanted.cls.items()
        )

    def _nearest(
        self, seen: Features, look: Look, output: Float[Tensor, "1 3 rows columns"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms on patches: their tokens in look, and their colours."""
        wanted, counts = self.wanted, self.ground.counts[look.patches]
        likeness = self.ground.semantics.likeness[look.patches]
        mass = (counts[:, None] * wanted.matches[look.patches]).sum(0)
        colours = F.interpolate(output, size=seen.grid, mode="area")[0].flatten(1).T
        looks, hues = [], []
        for block, tokens in wanted.tokens.items():
            costs = objective.token_costs(seen.tokens[block][0].float(), tokens)
            nearest = objective.nearest_tokens(costs, likeness, MEANING)
            looks.append(objective.nearest_term(costs, nearest, counts, mass))
            hues.append(objective.colour_term(colours, wanted.colours, nearest, counts, mass))
        return {"nearest": _mean(looks), "colour": _mean(hues)}

    @cached_property
    def ground(self) -> Ground:
        """What the generator paints over and is given."""
        return find_ground(self.structure, self.appearance, self.settings, self.first_vit)

    @cached_property
    def wanted(self) -> Wanted:
        """What the appearance image shows, and how far the structure image is from it."""
        semantics = self.ground.semantics
        return find_wanted(
            self.structure, self.appearance, semantics, self.settings, self.vit, self._look
        )

    def draw(self, step: int) -> Look:
        """How the output is looked at in a step (from 0)."""
        looks = self._looks_at(self._side(step))
        return looks[int(torch.randint(len(looks), (), generator=self.random))]

    def _side(self, step: int) -> int:
        seen = self.settings.seen
        coarsely = step < seen.until * self.settings.steps
        return seen.coarse_short_side if coarsely else seen.short_side

    def _looks_at(self, short_side: int) -> list[Look]:
        if short_side not in self._looks:
            grid, seed = self.ground.semantics.structure_grid, self.settings.seed
            self._looks[short_side] = draw_looks(self.structure, self.vit, short_side, grid, seed)
        return self._looks[short_side]

    def _look(self, image: Float[Tensor, "1 3 rows columns"], short_side: int) -> Features:
        return self.vit(
            image,
            cls=self._cls_blocks,
            keys=[self.vit.blocks],
            tokens=self._token_blocks,
            short_side=short_side,
            long_side=LONG_SIDE,
        )

    @property
    def _cls_blocks(self) -> list[int]:
        return self.vit.blocks_at(self.settings.objective.cls_depths)

    @property
    def _token_blocks(self) -> list[int]:
        return self.vit.blocks_at(self.settings.objective.token_depths)


def _mean(values: Iterable[Tensor]) -> Float[Tensor, ""]:
    return torch.stack(list(values)).mean()
