"""What the generator of the default method paints over, and how its painting becomes the picture."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method import objective
from splice.method.clusters import k_means, nearest_centre
from splice.method.light import Light, applied, detail
from splice.method.palette import Palettes, find_palettes
from splice.method.semantics import Semantics, find_semantics
from splice.method.settings import Settings
from splice.method.tones import find_parts, freedom, tone_maps

CODES, OUTLINE_CODES = 16, 8
"""Channels of the codes that the generator sees, and that outlines are found from."""

NOISE_CHANNELS, NOISE = 4, 0.3
"""Fixed noise that the generator sees, from which flat parts get their texture: its deviation."""

DARKEST = 0.02
"""Colours are painted over as if they were at least so far from black and white, where logits end."""

OUTLINE_RADIUS = 3
"""Of the windows of outlines, in pixels of a picture with a short side of 256."""

GROUPS = 32
"""Groups of like patches, of which small ones count nearly as much as large ones."""


@dataclass(frozen=True)
class Ground:
    """What the generator paints over and is given, found once for a pair.

    Attributes:
        structure: the structure image, in [0, 1], at the size of the painting.
        semantics: of the pair.
        maps: affine maps of the structure image's colours that give it the appearance image's.
        toned: the structure image in those colours, in [0, 1].
        light: what of a change is a local affine function of the structure image.
        freedom: where other changes are let through, in [0, 1].
        inputs: what the generator is given; the last three channels are the toned picture's logits.
        outlines: where meaning changes in the structure image, in [0, 1].
        counts: how much each patch of the structure image counts; mean 1.
        palettes: colours that the structure image's parts should have.
    """

    structure: Float[Tensor, "1 3 height width"]
    semantics: Semantics
    maps: Float[Tensor, "1 12 height width"]
    toned: Float[Tensor, "1 3 height width"]
    light: Light
    freedom: Float[Tensor, "1 1 height width"]
    inputs: Float[Tensor, "1 inputs height width"]
    outlines: Float[Tensor, "1 1 height width"]
    counts: Float[Tensor, " structure_patches"]
    palettes: Palettes

    def finished(
        self, painted: Float[Tensor, "1 3 height width"]
    ) -> Float[Tensor, "1 3 height width"]:
        """What the generator painted, as far as it is light, and texture where that is free.

        The toned picture and the change that was painted over it: of this the part that a local affine
        function of the structure image tells, and of the rest as much as the appearance image asks for.
        """
        return self._painted_over(painted)[0]

    def delivered(
        self,
        painted: Float[Tensor, "1 3 height width"],
        photograph: Float[Tensor, "1 3 rows columns"],
    ) -> Float[Tensor, "1 3 rows columns"]:
        """The same, enlarged to the size of a photograph, and as sharp as that.

        What the photograph has that its enlarged small copy has not is added, through the slopes of the
        maps that made the picture of its colours.

        Args:
            painted: by the generator, in [0, 1].
            photograph: the structure image at the wanted size.
        """
        (picture, maps), size = self._painted_over(painted), photograph.shape[-2:]
        if size == picture.shape[-2:]:
            return picture
        maps = self.maps + F.interpolate(maps, size=picture.shape[-2:], mode="bilinear")
        large, small = (
            F.interpolate(each, size=size, mode="bicubic") for each in (picture, self.structure)
        )
        return large.add_(detail(maps, photograph - small)).clamp_(0, 1)

    def _painted_over(self, painted: Tensor) -> tuple[Tensor, Tensor]:
        """The picture, and the maps that tell its change of light."""
        change = painted - self.toned.clamp(DARKEST, 1 - DARKEST)
        maps = self.light.maps(change)
        light = applied(maps, self.structure)
        texture = self.freedom * (change - light)
        return (self.toned + light + texture).clamp(0, 1), maps


@torch.no_grad()
def find_ground(
    structure: Float[Tensor, "1 3 height width"],
    appearance: Float[Tensor, "1 3 rows columns"],
    settings: Settings,
    vit: FrozenViT,
) -> Ground:
    """The ground of a pair.

    Args:
        structure: the structure image, in [0, 1], at the size of the painting.
        appearance: the appearance image, in [0, 1], of about that size.
        settings: of the run.
        vit: the frozen transformer.
    """
    semantics = find_semantics(vit, structure, appearance, settings.meaning)
    parts = find_parts(semantics, settings.tones, settings.seed)
    maps = tone_maps(structure, appearance, semantics, parts, settings.tones.strongest)
    toned = applied(maps, structure).clamp(0, 1)
    random = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(1, NOISE_CHANNELS, *structure.shape[-2:], generator=random)
    inputs = [
        4 * (structure - 0.5),
        semantics.codes[:, :CODES],
        NOISE * noise.to(structure),
        torch.logit(toned.clamp(DARKEST, 1 - DARKEST)),
    ]
    codes = semantics.patch_codes(semantics.codes.shape[1])
    groups = nearest_centre(codes, k_means(codes, GROUPS, random))
    return Ground(
        structure,
        semantics,
        maps,
        toned,
        Light(structure),
        freedom(appearance, toned, semantics, parts),
        torch.cat(inputs, 1).contiguous(memory_format=torch.channels_last),
        objective.outlines_of(semantics.codes[:, :OUTLINE_CODES], outline_radius(structure)),
        objective.even_counts(groups, settings.objective.evenness),
        find_palettes(appearance, semantics, settings.objective.evenness, random),
    )


def outline_radius(structure: Float[Tensor, "1 3 height width"]) -> int:
    """Of the windows of outlines in a picture, in pixels."""
    return max(1, round(OUTLINE_RADIUS * min(structure.shape[-2:]) / 256))
