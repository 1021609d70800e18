"""Patches of the output against the patches that their look comes from.

For every sampled pixel of the output, a pixel of the appearance image is drawn from the parts that
correspond to it; the two sets of patches around them should have the same distribution.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splice import objective
from splice.scales import Levels, scales_for, shrunk
from splice.semantics import Semantics
from splice.terms import PatchTerm
from splice.views import View

ONE = 2**40
"""What stands for 1 where probabilities are whole numbers."""


class MatchedPatches:
    """The patch term of one pair."""

    def __init__(
        self,
        appearance: Float[Tensor, "1 3 height width"],
        semantics: Semantics,
        matches: Float[Tensor, "structure_patches appearance_patches"],
        settings: PatchTerm,
    ) -> None:
        """Prepares the appearance image at every scale.

        Args:
            appearance: the appearance image, in [0, 1].
            semantics: meaning of the pair.
            matches: how likely the look of each structure patch comes from each appearance patch.
            settings: of the term.
        """
        self.settings, self.semantics = settings, semantics
        self._cumulative = _one_sequence(matches)
        self._codes = semantics.structure_codes[0].permute(1, 2, 0).flatten(0, 1)
        self.scales = scales_for(appearance, settings.scales)
        self.levels = [shrunk(appearance, scale) for scale in self.scales]

    def __call__(
        self,
        output: Levels,
        view: View,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """The term for an output painted from a view of the structure image."""
        distances = []
        for scale, appearance in zip(self.scales, self.levels, strict=True):
            level = output[scale]
            radius = self.settings.side // 2
            if min(*level.shape[-2:], *appearance.shape[-2:]) <= radius:
                continue
            distances.append(self._distance(level, appearance, view, generator))
        return torch.stack(distances).mean() if distances else output.picture.sum() * 0

    def _distance(
        self,
        output: Float[Tensor, "1 3 height width"],
        appearance: Float[Tensor, "1 3 rows columns"],
        view: View,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        settings, codes = self.settings, self.semantics.structure_codes
        device, count = output.device, settings.samples
        random = torch.rand(5, count, generator=generator, device=device)
        # What lies in a part of the view is compared by itself, or a sky would hide an eye.
        place = torch.rand(3, generator=generator, device=device)
        window = settings.window + (1 - settings.window) * place[0]
        within = place[1:, None] * (1 - window) + random[:2] * window
        rows, columns = _pixels(within[0], within[1], output)
        across = ((rows + 0.5) / output.shape[-2], (columns + 0.5) / output.shape[-1])
        top, left = view.source(*across)
        top, left = top / codes.shape[-2], left / codes.shape[-1]
        code_rows, code_columns = _pixels(top, left, codes)
        meaning = self._codes[code_rows * codes.shape[-1] + code_columns]
        target_top, target_left = self._correspond(top, left, random[2], random[3:])
        side = settings.side
        ours = objective.take_patches(output, rows, columns, side)
        theirs = objective.take_patches(
            appearance, *_pixels(target_top, target_left, appearance), side
        )
        directions, code_directions = (
            torch.randn(n, settings.projections, generator=generator, device=device)
            for n in (ours.shape[1], meaning.shape[1])
        )
        directions = F.normalize(directions, dim=0)
        code_directions = code_directions * settings.semantics / meaning.shape[1] ** 0.5
        return objective.patch_term(
            ours, theirs, meaning, directions, code_directions, settings.alike
        )

    def _correspond(
        self,
        top: Float[Tensor, " samples"],
        left: Float[Tensor, " samples"],
        choice: Float[Tensor, " samples"],
        within: Float[Tensor, "2 samples"],
    ) -> tuple[Float[Tensor, " samples"], Float[Tensor, " samples"]]:
        """Random points of corresponding patches; all points in fractions of their picture."""
        found = self.semantics
        row = found.structure_patch(top, left)
        asked = row * (2 * ONE) + (choice.to(torch.float32) * ONE).long()
        others = found.appearance_grid[0] * found.appearance_grid[1]
        chosen = torch.searchsorted(self._cumulative, asked, right=True) - row * others
        rows, columns = found.appearance_grid
        return (chosen // columns + within[0]) / rows, (chosen % columns + within[1]) / columns


def _one_sequence(matches: Float[Tensor, "patches others"]) -> Int[Tensor, " sums"]:
    """The cumulative sums of all rows as one rising sequence, so that one search serves all rows.

    Row r runs from 2r to 2r + 1, in units of 1/`ONE`: whole numbers, as not every device has float64.
    """
    sums = matches.float().cumsum(1)
    sums = (sums / sums[:, -1:] * ONE).long().clamp(0, ONE)
    rows = torch.arange(len(sums), device=sums.device)
    return (sums + rows[:, None] * (2 * ONE)).flatten()


def _pixels(
    top: Float[Tensor, " samples"],
    left: Float[Tensor, " samples"],
    image: Float[Tensor, "1 channels height width"],
) -> tuple[Int[Tensor, " samples"], Int[Tensor, " samples"]]:
    """The pixels under points given in fractions of the image's sides."""
    height, width = image.shape[-2:]
    return (top * height).long().clamp(0, height - 1), (left * width).long().clamp(0, width - 1)
