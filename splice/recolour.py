"""The appearance image in other colours, from which the generator learns to restore it.

A generator that only copies the appearance image learns that dark stays dark. Given that image in the
structure image's colours instead, it learns what the structure image will ask of it: to take shapes
and edges from the input, and colours from the meaning of each part.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.guided_filter import guided_upsampling
from splice.matching import matching
from splice.semantics import Semantics, transported
from splice.settings import Settings
from splice.underpainting import smooth_part
from splice.views import View


class Recolouring:
    """Random recolourings of the appearance image of one pair."""

    def __init__(
        self,
        structure: Float[Tensor, "1 3 height width"],
        appearance: Float[Tensor, "1 3 rows columns"],
        semantics: Semantics,
        settings: Settings,
    ) -> None:
        """Finds how far each pixel's part is from the structure image's colours of the same part."""
        self.settings, radius = settings.objective.pixel_identity, settings.generator.underpainting
        meaning = settings.meaning
        matches = matching(semantics.similarity.T, meaning.temperature)
        wanted = transported(
            structure, matches, semantics.appearance_grid, semantics.structure_grid
        )
        present = F.interpolate(appearance, size=semantics.appearance_grid, mode="area")
        self.change = guided_upsampling(
            wanted - present, appearance, meaning.radius, meaning.tolerance
        )
        self.plain = None
        if settings.generator.underpainted:
            # Recolouring is affine, and the smooth part linear: one can be taken before the other.
            self.plain = smooth_part(torch.cat([appearance, self.change], 1), appearance, radius)

    def __call__(
        self,
        image: Float[Tensor, "1 3 height width"],
        view: View,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "1 3 height width"], Float[Tensor, "1 3 height width"] | None]:
        """A view of the appearance image with other colours, contrast and tint, in [0, 1].

        And its detail, where there is an underpainting.

        Args:
            image: the view in its own colours, in [0, 1].
            view: where it was cut.
            generator: on the image's device.
        """
        random = torch.rand(5, generator=generator, device=image.device)
        settings = self.settings
        share = settings.recolour * random[0]
        changed = image + share * view.cut(self.change)
        mean = changed.mean((2, 3), keepdim=True)
        contrast = 1 + settings.contrast * (2 * random[1] - 1)
        tint = settings.tint * (2 * random[2:].reshape(1, 3, 1, 1) - 1)

        def finished(colours: Tensor) -> Tensor:
            return ((colours - mean) * contrast + mean + tint).clamp(0, 1)

        recoloured = finished(changed)
        if self.plain is None:
            return recoloured, None
        plain, change = view.cut(self.plain).split(3, 1)
        return recoloured, recoloured - finished(plain + share * change)
