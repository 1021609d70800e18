"""What is wrong with one painted view: every term of the objective, unweighted."""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from splice import objective
from splice.detail import detail_term
from splice.features import Features, self_similarity
from splice.painter import batched
from splice.patch_grid import resize_to_patches
from splice.preparation import Preparation
from splice.scales import Levels, shrunk
from splice.settings import Settings
from splice.targets import Target, Targets


class ViewTerms:
    """The terms of views of one pair."""

    def __init__(
        self,
        settings: Settings,
        prepared: Preparation,
        targets: Targets,
        noise: torch.Generator,
    ) -> None:
        """Remembers what views are compared with.

        Args:
            settings: of the run.
            prepared: what is found once for the pair.
            targets: with the frozen transformer that looks at outputs.
            noise: where patches to compare are drawn from, on the device.
        """
        self.settings, self.prepared, self.targets = settings, prepared, targets
        self.noise = noise

    def __call__(
        self,
        output: Float[Tensor, "1 3 height width"],
        reconstruction: Float[Tensor, "1 3 rows columns"],
        structure: Target,
        appearance: Target,
        weights: Mapping[str, float],
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms that count, by name.

        Args:
            output: what was painted from the view of the structure image, in [0, 1].
            reconstruction: from that of the appearance image, where a term asks for it.
            structure: the view of the structure image.
            appearance: that of the appearance image.
            weights: by the names of the terms that count.
        """
        terms, last = self.settings.objective, self.targets.vit.blocks
        levels = Levels(output)
        features = self._look([output, reconstruction], weights)
        values: dict[str, Tensor] = {}
        if "appearance" in weights:
            values["appearance"] = _mean(
                objective.appearance_term(features[0].cls[block], appearance.features.cls[block])
                / self._scale("cls", block)
                for block in self.targets.blocks(terms.appearance.depths)
            )
        if "structure" in weights:
            assert structure.similarity is not None
            similarity = self_similarity(features[0].keys[last])
            difference = objective.structure_term(similarity, structure.similarity)
            values["structure"] = difference / self._scale("similarity", last)
        if "identity" in weights:
            keys = appearance.features.keys[last]
            difference = objective.identity_term(features[1].keys[last], keys)
            values["identity"] = difference / self._scale("keys", last)
        if "pixel_identity" in weights:
            values["pixel_identity"] = objective.pixel_term(reconstruction, appearance.image)
        if "local" in weights:
            keys = [each.features.keys[last][0, 1:] for each in (structure, appearance)]
            meaning = objective.semantic_cost(keys[0], keys[1])
            values["local"] = _mean(
                objective.local_term(
                    features[0].tokens[block][0],
                    appearance.features.tokens[block][0],
                    meaning,
                    terms.local.semantics,
                )
                for block in self.targets.blocks(terms.local.depths)
            )
        if "closeups" in weights:
            closeups = self.prepared.closeups
            part = closeups.draw(output, self.targets.random)
            values["closeups"] = closeups(output, structure.view, part, self.targets.vit)
        if "edges" in weights:
            values["edges"] = self._edges(levels, structure)
        if {"colour", "chroma"} & weights.keys():
            wanted = structure.view.cut(self.prepared.colours["structure"])
            if "colour" in weights:
                values["colour"] = objective.colour_term(output, wanted, terms.colour.cells)
            if "chroma" in weights:
                values["chroma"] = objective.chroma_term(output, wanted, terms.chroma.cells)
        if "detail" in weights:
            values["detail"] = _mean(
                detail_term(
                    levels[scale],
                    shrunk(structure.view.cut(wanted), scale),
                    terms.detail.cells,
                )
                for scale, wanted in self.prepared.details.items()
            )
        if "patches" in weights:
            values["patches"] = self.prepared.patches(levels, structure.view, self.noise)
        return values

    def _edges(self, output: Levels, structure: Target) -> Float[Tensor, ""]:
        """The structure image's outlines that the output of a view has lost, the mean of all scales."""
        terms, view = self.settings.objective.edges, structure.view
        turned, losses = view.cut(self.prepared.turned), []
        for scale, outlines in self.prepared.outlines.items():
            maps = (structure.image, view.cut(outlines), turned)
            theirs, outlined, light = (shrunk(each, scale) for each in maps)
            losses.append(
                objective.edge_term(
                    output[scale], theirs, outlined, light, terms.radius, terms.contrast
                )
            )
        return _mean(losses) if losses else output.picture.sum() * 0

    def _look(self, outputs: list[Tensor], weights: Mapping[str, float]) -> list[Features]:
        """Features of the output, and of the reconstruction where a term asks for them.

        Views of different sizes are one batch if they are seen at the same size.
        """
        wanted = self.targets.wanted(weights.keys())
        if not any(wanted.values()):
            return []
        vit, seen = self.targets.vit, self.settings.seen
        compared = outputs if "identity" in weights else outputs[:1]
        sides = seen.short_side, seen.long_side
        sized = [resize_to_patches(image, vit.patch, *sides) for image in compared]
        return batched(lambda images: vit(images, **wanted, short_side=None), sized)

    def _scale(self, kind: str, block: int) -> float:
        """What a term on features is divided by."""
        return self.targets.scales[kind, block] if self.settings.objective.calibrated else 1.0


def _mean(values: Iterable[Tensor]) -> Float[Tensor, ""]:
    return torch.stack(list(values)).mean()
