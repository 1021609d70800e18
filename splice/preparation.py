"""What is found once for a pair, when something first needs it, and then stays."""

from collections.abc import Callable
from functools import cached_property
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice import objective
from splice.closeups import Closeups
from splice.collage import CODES, elsewhere, laid_out, staying
from splice.correspondence import Correspondence, correspondence
from splice.detail import detail_energy
from splice.features import FrozenViT
from splice.guided_filter import guided_upsampling
from splice.healing import Pieces, healed
from splice.noise import octave_noise
from splice.patches import MatchedPatches
from splice.placement import Placement, unmoved
from splice.recolour import Recolouring
from splice.scales import scales_for, shrunk
from splice.semantics import Semantics, find_semantics, transported
from splice.settings import Settings
from splice.targets import Role
from splice.underpainting import Underpainting, underpainting
from splice.views import View

Found = TypeVar("Found")


class ByRole(dict[Role, Found], Generic[Found]):
    """What is found for each of the two pictures, when it is first asked for."""

    def __init__(self, find: Callable[[Role], Found]) -> None:
        """Remembers how to find it."""
        super().__init__()
        self._find = find

    def __missing__(self, role: Role) -> Found:
        """Finds it, and keeps it."""
        self[role] = found = self._find(role)
        return found


class Preparation:
    """Meaning, matches and what follows from them, for one pair."""

    def __init__(
        self,
        structure: Float[Tensor, "1 3 height width"],
        appearance: Float[Tensor, "1 3 rows columns"],
        settings: Settings,
        vit: FrozenViT,
    ) -> None:
        """Remembers what to work on; nothing is computed yet.

        Args:
            structure: the structure image, in [0, 1].
            appearance: the appearance image, in [0, 1].
            settings: of the run.
            vit: the frozen transformer, in the precision that the run starts with.
        """
        self.structure, self.appearance = structure, appearance
        self.settings, self.vit = settings, vit
        self._conditions: dict[torch.dtype, ByRole[Tensor]] = {}

    @cached_property
    def semantics(self) -> Semantics:
        """Codes of meaning, and which parts of the two pictures correspond."""
        return find_semantics(self.vit, self.structure, self.appearance, self.settings.meaning)

    @property
    def _pictures(self) -> dict[Role, Float[Tensor, "1 3 ..."]]:
        return {"structure": self.structure, "appearance": self.appearance}

    def conditions(
        self, role: Role, view: View, dtype: torch.dtype
    ) -> Float[Tensor, "1 conditions height width"]:
        """Codes, noise and collage for every pixel of a view of a picture, channels last.

        Those of the entire pictures are kept in the last precision that was asked for.
        """
        if dtype not in self._conditions:
            self._conditions = {dtype: ByRole(lambda role: self._find_conditions(role, dtype))}
        return view.cut(self._conditions[dtype][role])

    def _find_conditions(
        self, role: Role, dtype: torch.dtype
    ) -> Float[Tensor, "1 conditions height width"]:
        """Codes, noise from which what is flat gets its texture, and a collage, for every pixel."""
        generator, codes = self.settings.generator, self.semantics.codes(role)
        # Each picture has noise of its own, whichever is asked for first.
        random = torch.Generator().manual_seed(2 * self.settings.seed + (role == "appearance"))
        drawn = octave_noise(codes.shape[-2], codes.shape[-1], generator.noise, random)
        parts = [codes, generator.noise_level * drawn.to(codes)]
        if generator.collage > 0:
            parts.append(generator.collage * (self.collages[role].to(codes) - 0.5))
        return torch.cat(parts, 1).to(dtype, memory_format=torch.channels_last)

    @cached_property
    def matches(self) -> Float[Tensor, "structure_patches appearance_patches"]:
        """How likely the look of each structure patch comes from each appearance patch."""
        return self._correspondences["structure"].matches

    @cached_property
    def _correspondences(self) -> ByRole[Correspondence]:
        """Of each picture with the appearance image, of that itself with its other parts."""
        found = self.semantics
        grid = found.appearance_grid

        def find(role: Role) -> Correspondence:
            own = role == "appearance"
            likeness = elsewhere(found.own_likeness, grid) if own else found.likeness
            codes, meaning = found.codes(role), self.settings.meaning
            return correspondence(likeness, codes, found.grid(role), grid, meaning)

        return ByRole(find)

    @cached_property
    def placements(self) -> ByRole[Placement]:
        """Where in the appearance image the patches of the two pictures lie.

        Half of the appearance image's own are where they are, and the others elsewhere.
        """

        def find(role: Role) -> Placement:
            placed = self._correspondences[role].placement
            if role == "structure":
                return placed
            grid, device = self.semantics.appearance_grid, self.appearance.device
            stay = staying(grid, torch.Generator().manual_seed(self.settings.seed))
            return unmoved(grid, device).where(stay.to(device), placed)

        return ByRole(find)

    @cached_property
    def colours(self) -> ByRole[Float[Tensor, "1 3 ..."]]:
        """The mean colours of the parts that mean the same, in [0, 1], with the pictures' outlines.

        The appearance image itself gets those of its other parts.
        """
        return ByRole(lambda role: self._means(self.appearance, role).clamp(0, 1))

    @cached_property
    def meanings(self) -> ByRole[Float[Tensor, "1 channels ..."]]:
        """What those parts mean on the mean: codes that pieces of them should have."""
        return ByRole(lambda role: self._means(self._first_codes("appearance"), role))

    @cached_property
    def collages(self) -> ByRole[Float[Tensor, "1 3 ..."]]:
        """Pieces of the appearance image where the parts are that correspond, grown together."""
        image, codes = self.appearance, self._first_codes("appearance")
        grid = self.semantics.appearance_grid

        def find(role: Role) -> Tensor:
            placed, meaning = self.placements[role], self.meanings[role]
            found = self._correspondences[role]
            pieces = Pieces(
                laid_out(image, codes, placed, grid, meaning),
                image,
                codes,
                self._pictures[role],
                meaning,
                placed,
                found.kindred,
                found.distinct,
                grid,
            )
            return healed(pieces, torch.Generator().manual_seed(self.settings.seed))

        return ByRole(find)

    @cached_property
    def underpaintings(self) -> ByRole[Underpainting]:
        """What the generator paints each picture over."""
        return ByRole(
            lambda role: underpainting(
                self._pictures[role],
                self.colours[role],
                self.collages[role],
                self._correspondences[role].distinct,
                self._first_codes(role),
                self.settings.generator.underpainting,
            )
        )

    @cached_property
    def outlines(self) -> dict[float, Float[Tensor, "1 1 height width"]]:
        """By scale, where meaning changes in the structure image."""
        settings = self.settings.objective.edges
        codes = self._first_codes("structure")
        outlines: dict[float, Tensor] = {}
        for scale in scales_for(self.structure, settings.scales):
            level = shrunk(codes, scale)
            if min(level.shape[-2:]) >= 2 * settings.radius + 1:
                found = objective.outlines_of(level, settings.radius)
                outlines[scale] = self._for_pixels(found)
        return outlines

    @cached_property
    def details(self) -> dict[float, Float[Tensor, "1 3 height width"]]:
        """By scale, the strength of detail that the structure image's parts get."""
        details: dict[float, Tensor] = {}
        for scale in scales_for(self.structure, self.settings.objective.detail.scales):
            energy = detail_energy(shrunk(self.appearance, scale))
            # The mean of strengths, not of energies: where a part takes from sharp and from blurred
            # ones, it is the less grainy of the two.
            strength = F.interpolate(
                energy, size=self.semantics.appearance_grid, mode="area"
            ).sqrt()
            details[scale] = self._carried_over(strength)
        return details

    @cached_property
    def turned(self) -> Float[Tensor, "1 1 height width"]:
        """Where light is to turn to dark: 1, and 0 where it is not."""
        means = F.interpolate(self.structure, size=self.semantics.structure_grid, mode="area")
        return self._for_pixels(objective.turned_light(means, self._for_patches(self.appearance)))

    @cached_property
    def closeups(self) -> Closeups:
        """The term on close-ups."""
        return Closeups(self.appearance, self.semantics, self.matches, self.settings, self.vit)

    @cached_property
    def patches(self) -> MatchedPatches:
        """The term on patches of pixels."""
        terms = self.settings.objective
        return MatchedPatches(self.appearance, self.semantics, self.matches, terms.patches)

    def _first_codes(self, role: Role) -> Float[Tensor, "1 channels height width"]:
        return self.semantics.codes(role)[:, :CODES].float()

    def _means(
        self, maps: Float[Tensor, "1 channels rows columns"], role: Role
    ) -> Float[Tensor, "1 channels height width"]:
        """Means over the appearance image's parts that mean the same, with a picture's outlines."""
        found, meaning = self.semantics, self.settings.meaning
        kindred = self._correspondences[role].kindred
        means = transported(maps, kindred, found.grid(role), found.appearance_grid)
        return guided_upsampling(means, self._pictures[role], meaning.radius, meaning.tolerance)

    def _carried_over(
        self, maps: Float[Tensor, "1 channels rows columns"]
    ) -> Float[Tensor, "1 channels height width"]:
        """What the parts of the structure image get of maps of the appearance image."""
        return self._for_pixels(self._for_patches(maps))

    def _for_patches(
        self, maps: Float[Tensor, "1 channels rows columns"]
    ) -> Float[Tensor, "1 channels patch_rows patch_columns"]:
        found = self.semantics
        return transported(maps, self.matches, found.structure_grid, found.appearance_grid)

    def _for_pixels(
        self, coarse: Float[Tensor, "1 channels patch_rows patch_columns"]
    ) -> Float[Tensor, "1 channels height width"]:
        size = self.structure.shape[-2:]
        return F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)

    @cached_property
    def recolouring(self) -> Recolouring:
        """What gives the appearance image the structure image's colours."""
        return Recolouring(self.structure, self.appearance, self.semantics, self.settings)
