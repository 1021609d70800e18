"""What outputs are compared with: views of the two pictures and their features, without gradient."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from splice import objective
from splice.features import Features, FrozenViT, self_similarity
from splice.settings import Settings
from splice.terms import Depths, Term
from splice.views import View, change_colours, draw_view, largest_middle, middle

Role = Literal["structure", "appearance"]
Image = Float[Tensor, "1 3 height width"]


@dataclass(frozen=True)
class Target:
    """A view of one of the two pictures with what terms compare outputs with.

    `similarity` is the self-similarity of the deepest keys, where the structure term counts.
    """

    view: View
    image: Float[Tensor, "1 3 height width"]
    features: Features
    similarity: Float[Tensor, "1 tokens tokens"] | None = None


class Targets:
    """Random views of a pair, each described once.

    Attributes:
        vit: with which views are described, in the precision of the loop.
        full_vit: the same model in float32, for what must not change with the precision.
        random: draws the views, on the CPU.
    """

    def __init__(
        self,
        structure: Float[Tensor, "1 3 height width"],
        appearance: Float[Tensor, "1 3 rows columns"],
        settings: Settings,
        vit: FrozenViT,
        full_vit: FrozenViT,
        random: torch.Generator,
    ) -> None:
        """Draws the views of the pool, if there is one; features wait until a view is used."""
        self.full_vit = full_vit
        self.images: dict[Role, Tensor] = {"structure": structure, "appearance": appearance}
        self.settings, self.vit, self.random = settings, vit, random
        pool = range(settings.views.pool)
        self._pool = {role: [self._draw(role) for _ in pool] for role in self.images}
        self._described: dict[tuple[Role, int], Target] = {}

    def draw(self, role: Role) -> Target:
        """A random view of one of the pictures: from the pool if there is one, else a fresh one."""
        pool = self._pool[role]
        if not pool:
            return self._describe(*self._draw(role))
        index = int(torch.randint(len(pool), (), generator=self.random))
        return self._once((role, index), *pool[index])

    def entire(self, role: Role) -> Target:
        """The entire picture, unchanged; of one with too many pixels for a view, its middle."""
        image = self.images[role]
        view = largest_middle(image, self.settings.views.largest)
        return self._once((role, -1), view, view.cut(image))

    def forget(self, vit: FrozenViT) -> None:
        """Describes views anew from now on, with the same model in another precision."""
        self.vit = vit
        self._described.clear()

    def wanted(self, terms: Collection[str]) -> dict[str, set[int]]:
        """The blocks of each kind of feature that the named terms compare in outputs."""
        settings, last = self.settings.objective, {self.vit.blocks}
        cls = set(self.blocks(settings.appearance.depths)) if "appearance" in terms else set()
        tokens = set(self.blocks(settings.local.depths)) if "local" in terms else set()
        keys = last if {"structure", "identity"} & set(terms) else set()
        return {"cls": cls, "tokens": tokens, "keys": keys}

    def blocks(self, depths: Depths) -> list[int]:
        """The backbone's blocks nearest to fractions of its depth."""
        return self.vit.blocks_at(depths)

    def see(self, image: Image, wanted: Mapping[str, set[int]], vit: FrozenViT) -> Features:
        """Features of images at the size that the settings say."""
        seen = self.settings.seen
        return vit(image, **wanted, short_side=seen.short_side, long_side=seen.long_side)

    @cached_property
    @torch.no_grad()
    def scales(self) -> dict[tuple[str, int], float]:
        """Each feature term's value between the largest central squares of the two pictures.

        By the kind of feature ("cls", "keys" or "similarity") and block. Terms divided by these mean
        the same on any backbone and pair.
        """
        last = self.vit.blocks
        cls = self.blocks(self.settings.objective.appearance.depths)
        structure, appearance = (
            self.see(_central_square(image), {"cls": set(cls), "keys": {last}}, self.full_vit)
            for image in self.images.values()
        )
        between = {
            ("cls", b): objective.appearance_term(structure.cls[b], appearance.cls[b]) for b in cls
        }
        keys = [each.keys[last] for each in (structure, appearance)]
        between["keys", last] = objective.identity_term(keys[0], keys[1])
        between["similarity", last] = objective.structure_term(
            self_similarity(keys[0]), self_similarity(keys[1])
        )
        # A picture paired with itself has nothing to calibrate with.
        return {name: float(value) or 1.0 for name, value in between.items()}

    def _draw(self, role: Role) -> tuple[View, Image]:
        image = self.images[role]
        view = draw_view(image.shape[-2], image.shape[-1], self.settings.views, self.random)
        part = view.cut(image)
        if role == "structure":
            part = change_colours(part, self.settings.views, self.random)
        return view, part

    def _once(self, name: tuple[Role, int], view: View, image: Image) -> Target:
        if name not in self._described:
            self._described[name] = self._describe(view, image)
        return self._described[name]

    @torch.no_grad()
    def _describe(self, view: View, image: Image) -> Target:
        terms = {name for name, term in self.settings.objective if _counts(term)}
        wanted = self.wanted(terms)
        if "local" in terms:
            wanted["keys"] = {self.vit.blocks}
        if not any(wanted.values()):
            return Target(view, image, Features((0, 0)))
        features = self.see(image, wanted, self.vit)
        if "structure" not in terms:
            return Target(view, image, features)
        return Target(view, image, features, self_similarity(features.keys[self.vit.blocks]))


def _counts(term: object) -> bool:
    return isinstance(term, Term) and term.weight > 0


def _central_square(image: Image) -> Float[Tensor, "1 3 side side"]:
    side = min(image.shape[-2:])
    return middle(image, side, side).cut(image)
