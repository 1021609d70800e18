"""What the loop of a pair asks of a method."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method.appearances import Appearance
from splice.method.settings import Settings

Paint = Callable[[list[Tensor]], list[Tensor]]
"""What the generator paints for inputs, 1 × inputs × height × width each: pictures in [0, 1]."""


class Method(ABC):
    """A method on one pair: what the generator is given, and what is wrong with what it paints."""

    def __init__(
        self,
        structure: Float[Tensor, "1 3 height width"],
        appearances: Sequence[Appearance],
        settings: Settings,
        vit: FrozenViT,
        random: torch.Generator,
        mask: Float[Tensor, "1 1 height width"] | None = None,
    ) -> None:
        """Remembers what to work on; what is found once for the pair is found when it is needed.

        Args:
            structure: the structure image, in [0, 1], at the size of the output.
            appearances: the appearance images, of about that size.
            settings: of the run.
            vit: the frozen transformer, in the precision that the run starts with.
            random: draws views, on the CPU.
            mask: 1 where the structure image is painted; None for all.
        """
        self.structure, self.appearances, self.mask = structure, tuple(appearances), mask
        self.settings, self.vit, self.random = settings, vit, random

    @property
    def appearance(self) -> Float[Tensor, "1 3 rows columns"]:
        """The first of the appearance images."""
        return self.appearances[0].picture

    @abstractmethod
    def use(self, vit: FrozenViT) -> None:
        """Looks with the same model in another precision from now on."""

    def spare(self, vit: FrozenViT) -> None:
        """Looks with the same model, which takes less memory, from now on."""
        self.vit = vit

    @abstractmethod
    def inputs(self, top: int, bottom: int) -> Float[Tensor, "1 inputs rows width"]:
        """Rows of what the generator is given."""

    @property
    def given_size(self) -> tuple[int, int]:
        """Rows and columns of what the generator is given, the picture being on the upper left."""
        return self.structure.shape[-2], self.structure.shape[-1]

    def own_inputs(self, top: int, bottom: int) -> Float[Tensor, "1 inputs rows width"]:
        """Rows of what the generator paints the structure image itself from, below strength 1."""
        return self.inputs(top, bottom)

    @abstractmethod
    def kind(self, step: int) -> str:
        """What a step (from 0) does, in words."""

    @abstractmethod
    def losses(self, step: int, paint: Paint) -> dict[str, Float[Tensor, ""]]:
        """The terms at a step (from 0), weighted.

        Args:
            step: steps done.
            paint: what the generator paints for inputs.
        """

    def first(
        self, step: int, photograph: Float[Tensor, "1 3 rows columns"]
    ) -> Float[Tensor, "1 3 rows columns"] | None:
        """The picture after so many steps, if it is not the generator's yet.

        Args:
            step: steps done.
            photograph: the structure image at the wanted size.
        """
        return None

    def delivered(
        self,
        painted: Float[Tensor, "1 3 height width"],
        photograph: Float[Tensor, "1 3 rows columns"],
    ) -> Float[Tensor, "1 3 rows columns"]:
        """What the generator painted, at the size of a photograph: the structure image as wanted."""
        return painted
