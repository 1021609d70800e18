"""The default method: the structure image painted afresh, in the hand of the appearance image.

A pixel's address says where it belongs in the appearance image, its detail what edges and hairs are
there. From these, from noise, and from plain colours (of the structure image the toned ones), the
generator learns to paint the appearance image, and paints the structure image.
The frozen transformer looks at the whole output. What it sees should have the appearance image's look:
[CLS] tokens of several blocks, patch tokens nearest in look and meaning, their colours. And it should
have the structure image's shapes: self-similarity of the deepest keys, outlines. The generator learns
from that. No pixel of the appearance image is copied.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.features import Features, self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.method import objective
from splice.method.fine_tokens import find_fine_tokens
from splice.method.gamut import gamut_term
from splice.method.ground import NOISE, OUTLINE_RADIUS, Ground, find_ground, scaled
from splice.method.lesson import lesson_term
from splice.method.looks import Look, draw_looks
from splice.method.masks import composite
from splice.method.noise import draw_noise
from splice.method.palette import Palettes, find_palettes, palette_term
from splice.method.patch_terms import Answers, patch_terms
from splice.method.protocol import Method, Paint
from splice.method.semantics import LONG_SIDE, Semantics, find_semantics
from splice.method.slopes import applied, with_grain
from splice.method.tones import find_parts, tone_maps
from splice.method.wanted import Shown, Wanted, find_shown, find_wanted
from splice.pictures.images import resize_short_side
from splice.pictures.resampling import resampled

SMALL_SIDE = 256
"""Short side, in pixels, at which tones, outlines and palettes are found, and compared."""

SHARES = (0.75, 1.0)
"""Range of the size at which the output is painted to be looked at, in shares of its own.

Steps are cheaper, and no pattern is bound to the grid of pixels.
"""


class Painting(Method):
    """The default method on one pair."""

    def __init__(self, *given: Any) -> None:
        """Remembers what to work on, as `Method` says."""
        super().__init__(*given)
        self.first_vit = self.vit  # What is found once is found in the precision at the start.
        side = self.settings.painted
        self.structure = _shrunk(self.structure, side)
        self.appearances = tuple(each.shrunk(side) for each in self.appearances)
        # What says of parts and colours what they should be needs no single hairs.
        self.small = _shrunk(self.structure, SMALL_SIDE)
        self.small_mask = None
        if self.mask is not None:
            self.mask, self.small_mask = (
                F.interpolate(self.mask, size=image.shape[-2:], mode="area")
                for image in (self.structure, self.small)
            )

    def use(self, vit: FrozenViT) -> None:
        """Looks with the same model in another precision from now on."""
        self.vit = vit
        for seen_by_the_other in ("wanted", "looks", "shown"):
            vars(self).pop(seen_by_the_other, None)

    def spare(self, vit: FrozenViT) -> None:
        """Looks with the same model, which takes less memory, from now on."""
        self.first_vit, self.vit = self.first_vit.spared(), vit

    def inputs(self, top: int, bottom: int) -> Float[Tensor, "1 inputs rows width"]:
        """Rows of what the generator is given."""
        return self.ground.inputs[:, :, top:bottom]

    @property
    def given_size(self) -> tuple[int, int]:
        """Rows and columns of what the generator is given."""
        return self.ground.inputs.shape[-2], self.ground.inputs.shape[-1]

    def own_inputs(self, top: int, bottom: int) -> Float[Tensor, "1 inputs rows width"]:
        """Rows of what the structure image itself is painted from, below strength 1."""
        assert self.ground.own is not None
        return self.ground.own[:, :, top:bottom]

    def kind(self, step: int) -> str:
        """What a step (from 0) does, in words."""
        return "lesson" if step < self.alone else "seen"

    def losses(self, step: int, paint: Paint) -> dict[str, Float[Tensor, ""]]:
        """The terms at a step (from 0), weighted; none at strength 0, where nothing is painted.

        Args:
            step: steps done.
            paint: what the generator paints for inputs.
        """
        if self.settings.strength == 0:
            return {}
        weights = self.settings.objective
        given, shown, counts = self.ground.lesson.draw(self.random)
        terms = {"identity": lesson_term(paint([given])[0], shown, counts)}
        if step >= self.alone:
            painted = composite(self._painted(paint), self.structure, self.mask)
            terms = {**self._seen(painted, self.draw()), **terms}
        return {name: getattr(weights, name) * value for name, value in terms.items()}

    def _painted(self, paint: Paint) -> Float[Tensor, "1 3 height width"]:
        """What the generator paints of the structure image, at some size."""
        height, width = self.structure.shape[-2:]
        inputs, size = self.ground.inputs, self.given_size
        low, high = SHARES
        share = low + (high - low) * torch.rand((), generator=self.random).item()
        shrunk = [max(1, round(share * side)) for side in size]
        # A filter against aliasing would take a third of a step on a CPU, and nobody sees it here.
        smaller = F.interpolate(inputs, size=shrunk, mode="bilinear")
        # Shrinking would weaken the noise, and what is delivered be rougher than what was looked at.
        smaller[:, NOISE] = draw_noise(shrunk, self.random, smaller.device).to(smaller)
        painted = paint([smaller.contiguous(memory_format=torch.channels_last)])[0]
        # What bilinear enlarging blurs would be painted too sharp, and is delivered without it.
        return resampled(painted, size, "bicubic")[..., :height, :width]

    def _seen(self, output: Tensor, look: Look) -> dict[str, Float[Tensor, ""]]:
        """The terms on the output, of which the transformer sees a look."""
        part = look.view.cut(output)
        seen = self._look(part, look.short_side)
        between = objective.structure_term(
            self_similarity(seen.keys[self.vit.blocks]), look.similarity
        )
        radius = scaled(OUTLINE_RADIUS, self.small)
        small = resampled(output, (self.small.shape[-2], self.small.shape[-1]), "area")
        return {
            "appearance": self.wanted.appearance_term(seen.cls),
            "structure": between / self.wanted.similarity_scale,
            **self._patches(seen, look, part),
            "edges": objective.edge_term(small, self.small, self.ground.outlines, radius),
            "gamut": gamut_term(small, self.wanted.gamut),
            "palette": palette_term(small, self.palettes),
        }

    @property
    def alone(self) -> int:
        """Steps in which the generator only learns to paint the appearance image."""
        return int(self.settings.seen.since * self.settings.step_count)

    def first(
        self, step: int, photograph: Float[Tensor, "1 3 rows columns"]
    ) -> Float[Tensor, "1 3 rows columns"] | None:
        """The toned picture, as long as the generator only learns; at strength 0 the photograph."""
        if self.settings.strength == 0:
            return photograph
        if step and step >= self.alone:
            return None
        return self._toned(photograph)

    @torch.no_grad()
    def delivered(
        self,
        painted: Float[Tensor, "1 3 height width"],
        photograph: Float[Tensor, "1 3 rows columns"],
    ) -> Float[Tensor, "1 3 rows columns"]:
        """What was painted, with the photograph's grain where that is larger."""
        if painted.shape[-2:] == photograph.shape[-2:]:
            return painted
        return with_grain(painted, self.structure, photograph)

    def _patches(
        self, seen: Features, look: Look, part: Float[Tensor, "1 3 rows columns"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms on patches: their tokens in look, and their colours."""
        given = self.semantics.likeness, self.ground.counts, self.wanted.matches
        answers = Answers.of(look, *given, masked=self.mask is not None)
        shown, strength = self.shown[look.short_side], self.settings.strength
        return patch_terms(seen, part, look, shown, answers, strength)

    @cached_property
    def semantics(self) -> Semantics:
        """What is where in the pair, and what corresponds."""
        return find_semantics(
            self.first_vit,
            self.structure,
            self.appearances,
            self.small,
            self.settings.meaning,
            self.mask,
        )

    @cached_property
    def tones(self) -> Float[Tensor, "1 12 height width"]:
        """Affine maps of colours that give the structure image the appearance image's."""
        tones, strength = self.settings.tones, self.settings.strength
        parts = find_parts(self.semantics, tones, self.settings.seed, self.small_mask)
        given = self.small, self.appearances, self.semantics, parts
        return tone_maps(*given, tones.strongest, strength)

    def _toned(
        self, photograph: Float[Tensor, "1 3 rows columns"]
    ) -> Float[Tensor, "1 3 rows columns"]:
        """The structure image, at any size, in the appearance image's tones."""
        return applied(self.tones, photograph).clamp(0, 1)

    @cached_property
    def ground(self) -> Ground:
        """What the generator is given and learns from."""
        seen = self.first_vit, self.structure, self.appearances, self.settings.meaning, self.mask
        return find_ground(
            self.structure,
            self.appearances,
            self.semantics,
            find_fine_tokens(*seen),
            self.settings,
            self._toned(self.structure),
            self.mask,
        )

    @cached_property
    def palettes(self) -> Palettes:
        """The colours that the structure image's parts should have."""
        return find_palettes(
            self.small,
            self.appearances,
            self.semantics,
            self.settings.objective.evenness,
            torch.Generator().manual_seed(self.settings.seed),
            self.settings.strength,
            self.small_mask,
        )

    @cached_property
    def wanted(self) -> Wanted:
        """What the appearance image shows, and how far the structure image is from it."""
        partly = self.settings.strength < 1
        between = [self.structure, self._toned(self.structure)] if partly else []
        return find_wanted(
            self.structure,
            self.appearances,
            self.semantics,
            self.settings,
            self.vit,
            self._look,
            between,
            1.0 if self.mask is None else float(self.mask.mean()),
        )

    def draw(self) -> Look:
        """How the output is looked at in a step."""
        return self.looks[int(torch.randint(len(self.looks), (), generator=self.random))]

    @cached_property
    def looks(self) -> list[Look]:
        """The ways to look at the output, with what the structure image shows in each."""
        grid, settings = self.semantics.structure_grid, self.settings
        sides = self.vit.patch, settings.seen.short_side, grid
        own = settings.strength < 1
        return draw_looks(self.structure, self._look, *sides, settings.seed, own)

    @cached_property
    def shown(self) -> Mapping[int, Shown]:
        """What the appearance images' patches show, by the short side at which a look sees them."""
        sides = sorted({look.short_side for look in self.looks})
        given = self.appearances, self.semantics, self.vit, self._token_blocks
        return {side: find_shown(*given, side) for side in sides}

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


def _shrunk(image: Tensor, side: int) -> Tensor:
    """An image whose short side has at most so many pixels."""
    return resize_short_side(image[0], min(side, *image.shape[-2:]))[None]
