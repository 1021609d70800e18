"""Close-ups of the output against the parts of the appearance image that correspond.

At the size at which the backbone sees a whole view, a patch is as large as an eye. A close-up is seen
two to three times larger, about as large as the appearance image when parts were matched, and each of
its patches should look as the patch does that it is matched with: icing like icing, with its swirls.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splice.features import FrozenViT
from splice.patch_grid import resize_to_patches
from splice.semantics import Semantics
from splice.settings import Settings
from splice.views import View


class Closeups:
    """The term on close-ups of one pair."""

    def __init__(
        self,
        appearance: Float[Tensor, "1 3 rows columns"],
        semantics: Semantics,
        matches: Float[Tensor, "structure_patches appearance_patches"],
        settings: Settings,
        vit: FrozenViT,
    ) -> None:
        """Describes the appearance image.

        Args:
            appearance: the appearance image, in [0, 1].
            semantics: meaning of the pair.
            matches: how likely the look of each structure patch comes from each appearance patch.
            settings: of the run.
            vit: the frozen transformer.
        """
        self.settings, self.seen = settings.objective.closeups, settings.seen
        self.semantics, meaning = semantics, settings.meaning
        blocks = vit.blocks_at(self.settings.depths)
        sides = {"short_side": meaning.short_side, "long_side": meaning.long_side}
        with torch.no_grad():
            tokens = vit(appearance, tokens=blocks, **sides).tokens
        self.means = {block: tokens[block][0].mean(0) for block in blocks}
        chosen = matches.argmax(1)
        self.wanted = {block: (tokens[block][0] - self.means[block])[chosen] for block in blocks}

    def draw(self, output: Float[Tensor, "1 3 height width"], generator: torch.Generator) -> View:
        """A random square of an output: its side U(smallest, largest) of the short side, anywhere.

        Args:
            output: to cut from.
            generator: on the CPU.
        """
        height, width = output.shape[-2:]
        share, down, right = torch.rand(3, generator=generator).tolist()
        share = self.settings.smallest + share * (self.settings.largest - self.settings.smallest)
        side = max(1, round(share * min(height, width)))
        return View(round(down * (height - side)), round(right * (width - side)), side, side)

    def __call__(
        self,
        output: Float[Tensor, "1 3 height width"],
        view: View,
        closeup: View,
        vit: FrozenViT,
    ) -> Float[Tensor, ""]:
        """Mean of 1 - cosine of tokens and those of matched patches, less the appearance's mean token.

        Args:
            output: painted from a view of the structure image, in [0, 1].
            view: that view.
            closeup: the part of the output to compare.
            vit: the frozen transformer, in the precision of the loop.
        """
        sides = self.seen.short_side, self.seen.long_side
        seen = resize_to_patches(closeup.cut(output), vit.patch, *sides)
        found = vit(seen, tokens=list(self.wanted), short_side=None)
        places = self._places(output, view, closeup, found.grid)
        costs = [
            1 - F.cosine_similarity(found.tokens[block][0] - self.means[block], wanted[places])
            for block, wanted in self.wanted.items()
        ]
        return torch.stack(costs).mean()

    def _places(
        self,
        output: Float[Tensor, "1 3 height width"],
        view: View,
        closeup: View,
        grid: tuple[int, int],
    ) -> Int[Tensor, " patches"]:
        """The structure image's patch under the middle of each patch of a close-up, row by row."""
        across = [
            (start + (torch.arange(count, device=output.device) + 0.5) / count * side) / whole
            for start, count, side, whole in zip(
                (closeup.top, closeup.left),
                grid,
                (closeup.height, closeup.width),
                output.shape[-2:],
                strict=True,
            )
        ]
        top, left = view.source(across[0], across[1])
        height, width = self.semantics.structure_codes.shape[-2:]
        middles = torch.meshgrid(top / height, left / width, indexing="ij")
        return self.semantics.structure_patch(*middles).flatten()
