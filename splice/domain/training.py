"""The loop of a domain: a network learns to paint any of its pictures in the look of any other.

Where captions are the condition, a reader learns first to find them in pictures (`reading`). Then, in
each step, the network paints a batch of pairs, and the frozen transformer says what is wrong.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.precision import autocast_of, precision_of
from splice.domain.batches import USUAL, Pairs, draw_captioned, draw_pairs
from splice.domain.condition import Condition, together
from splice.domain.learner import Learner, factor_at
from splice.domain.model import DomainModel
from splice.domain.neighbours import Neighbours
from splice.domain.objective import (
    Distances,
    Seen,
    Usual,
    distances,
    paper_terms,
    pixel_term,
    see,
    siamese_contrast,
    weighted,
)
from splice.domain.parallel import World, averaged, averaging
from splice.domain.sights import Sights
from splice.domain.store import PictureStore
from splice.errors import RunError
from splice.method.failures import FailedSteps, Outcome
from splice.method.sparing import is_out_of_memory
from splice.method.step import Step

FAILURES = 10
"""Steps in a row with a gradient that is not finite, after which the loop ends."""

USUAL_PAIRS = 32
"""Pairs over which the usual distance in the domain is the median."""


class DomainTraining:
    """The loop of one domain, with all that it knows.

    Attributes:
        step: steps done, those of learning to read included.
        first: steps of learning to read.
        total: steps of the whole run.
        model: what is learnt; its network has the weights of the last step.
        vit: the frozen transformer, in the precision of the run.
        learner: its weights, their average and its optimiser.
    """

    def __init__(
        self,
        store: PictureStore,
        neighbours: Neighbours,
        model: DomainModel,
        vit: FrozenViT,
        world: World,
    ) -> None:
        """Prepares everything but the first step.

        Args:
            store: pictures of the domain.
            neighbours: those that are learnt from, and who is paired with whom.
            model: with first weights, on the device to compute on.
            vit: the frozen transformer, on the same device.
            world: of processes that learn together, which have joined each other.

        Raises:
            InputError: the batch cannot be shared evenly.
        """
        self.store, self.neighbours, self.model = store, neighbours, model
        self.settings, self.world = model.settings, world
        self.device = next(model.network.parameters()).device
        self._full_vit = vit
        self._compute_in(precision_of(self.settings.precision, self.device))
        self._places = world.share(self.settings.batch)
        reading = self.settings.condition == "text"
        self.first = self.settings.text.steps if reading else 0
        self._reading_places = range(0)
        if reading:
            self._reading_places = world.share(self.settings.text.batch, "--text.batch")
        self.total = self.first + self.settings.steps
        self.step = 0
        matrices = model.network.matrices()
        self.learner = Learner(model.network, matrices, model.reader, self.settings.average, world)
        self._painter = averaging(model.network, world, self.device)
        self._blocks = vit.blocks_at(self.settings.terms.cls_depths)
        self._weights = {
            name: float(value)
            for name, value in self.settings.terms.model_dump().items()
            if name != "cls_depths"
        }
        self._failed = FailedSteps(self.device)
        self._usual: Usual | None = None

    def steps(self) -> Iterator[Step]:
        """Runs until all steps are done, and yields a record after each.

        Raises:
            RunError: ten steps in a row had a gradient that is not finite, or memory ran out.
            InputError: a picture cannot be read any more.
        """
        while self.step < self.total:
            begun = time.perf_counter()
            losses, learnt = self._next()
            self.step += 1
            self._failed.add(learnt)
            if self._failed.in_a_row >= FAILURES:
                raise RunError(
                    f"{FAILURES} steps in a row, up to step {self.step}, had a gradient that is "
                    "not finite; a lower --learning-rate may help."
                )
            said = averaged({name: value.detach() for name, value in losses.items()}, self.world)
            seconds = time.perf_counter() - begun
            precision = str(self.dtype).removeprefix("torch.")
            yield Step(self.step, self.total, said, seconds, learnt, precision)

    def _next(self) -> tuple[dict[str, Float[Tensor, ""]], Outcome]:
        """The terms of the next step, and whether anything was learnt from them."""
        try:
            reads = self.step < self.first
            losses = self._reading() if reads else self._painting(self.step - self.first)
            return losses, Outcome.of(self._learn(losses["total"]))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunError(
                f"memory ran out on {self.device} with --batch {self.settings.batch} and --size "
                f"{self.settings.size}; a smaller one of them takes less."
            ) from error

    def _learn(self, total: Float[Tensor, ""]) -> Tensor:
        settings = self.settings
        if self.step < self.first:
            rate = settings.text.learning_rate * factor_at(
                self.step / self.first, self.step, min(settings.warm_up, self.first // 4)
            )
            return self.learner.learn(total, rate, -1)
        step = self.step - self.first
        factor = factor_at(step / settings.steps, step, settings.warm_up)
        return self.learner.learn(total, settings.learning_rate * factor, step)

    def _reading(self) -> dict[str, Float[Tensor, ""]]:
        """The terms of a step of learning to read: captions against their pictures."""
        reader = self.model.reader
        assert reader is not None
        kept, seed = self.neighbours.kept.tolist(), self.settings.seed
        indices, captions = draw_captioned(self.store, kept, seed, self.step, self._reading_places)
        seen = self._sights[indices]
        terms = reader.losses(reader.read(captions), captions, indices, seen, self.world)
        # At this stage all levels are learnt, whatever counts later.
        return weighted(terms, dict.fromkeys(terms, 1.0))

    def _painting(self, step: int) -> dict[str, Float[Tensor, ""]]:
        """The terms of a step of painting (from 0), weighted, and their sum "total"."""
        pairs = self._drawn(step)
        count = len(pairs.structure)
        with torch.no_grad():
            seen = self._see(torch.cat([pairs.structure, pairs.appearance]))
        structure, appearance = seen[:count], seen[count:]
        condition = self._condition(pairs.appearance, pairs.captions)
        images = [pairs.structure, pairs.disguised]
        conditions = [condition, condition]
        contrasted = self._weights["contrast"] > 0
        if contrasted:
            images.append(pairs.structure)
            conditions.append(self._condition(pairs.others, pairs.other_captions))
        with autocast_of(self.device, self.dtype):
            painted = self._painter(torch.cat(images), together(conditions)).float()
        looked = self._see(painted)
        output, itself = looked[:count], looked[count : 2 * count]
        usual = self.usual()
        terms = paper_terms(output, itself, structure, appearance, usual)
        terms["pixels"] = pixel_term(painted[count : 2 * count], pairs.appearance)
        if contrasted:
            unit = (usual.deepest * self.vit.width).sqrt().clamp_min(1e-6)
            features = output.deepest / unit, looked[2 * count :].deepest / unit
            terms["contrast"] = siamese_contrast(*features, pairs.same)
        reader = self.model.reader
        if reader is not None:
            terms |= reader.judged(condition, pairs.captions, pairs.pictures, output, self.world)
        losses = weighted(terms, self._weights)
        if reader is not None and self.settings.text.joint:
            read = reader.losses(condition, pairs.captions, pairs.pictures, appearance, self.world)
            losses["reading"] = torch.stack(list(read.values())).sum()
            losses["total"] = losses["total"] + losses["reading"]
        return losses

    def _condition(self, pictures: Tensor, captions: tuple[str, ...]) -> Condition:
        reader = self.model.reader
        if reader is None:
            with torch.no_grad():
                return self.model.condition_of(pictures, self.vit)
        if self.settings.text.joint:
            return reader.read(captions)
        with torch.no_grad():
            return reader.read(captions)

    def usual(self) -> Usual:
        """What is usual between paired pictures of the domain; found once."""
        if self._usual is None:
            found = []
            for place in range(USUAL_PAIRS):
                pair = self._drawn(0, range(place, place + 1), USUAL)
                with torch.no_grad():
                    both = self._see(torch.cat([pair.structure, pair.appearance]))
                found.append(distances(both[:1], both[1:]))
            each = zip(*(vars(one).values() for one in found), strict=True)
            self._usual = Usual.of(Distances(*(torch.cat(several, -1) for several in each)))
        return self._usual

    def _compute_in(self, dtype: torch.dtype) -> None:
        self.dtype, self.vit = dtype, self._full_vit.at_precision(dtype)
        self._sights = Sights(self.store, self.vit, self.settings.seen)

    def _drawn(self, step: int, places: range | None = None, use: int = 0) -> Pairs:
        places = self._places if places is None else places
        drawn = draw_pairs(self.store, self.neighbours, self.settings.seed, step, places, use)
        tensors = ("structure", "appearance", "others", "same", "disguised")
        return replace(drawn, **{name: getattr(drawn, name).to(self.device) for name in tensors})

    def _see(self, images: Float[Tensor, "batch 3 height width"]) -> Seen:
        return see(images, self.vit, self._blocks, self.settings.seen)

    @torch.no_grad()
    def painted(
        self, structure: Float[Tensor, "batch 3 height width"], condition: Condition
    ) -> Float[Tensor, "batch 3 height width"]:
        """Pictures painted with the averaged weights, on the CPU."""
        with self.learner.averaged():
            return self.model.network(structure.to(self.device), condition.to(self.device)).cpu()

    # Saving.

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, flat: tensors and plain values by name."""
        self._failed.read()
        usual = self.usual()
        return {
            "step": self.step,
            "failed_in_a_row": self._failed.in_a_row,
            "precision": str(self.dtype).removeprefix("torch."),
            "usual cls": usual.cls,
            "usual similarity": usual.similarity,
            "usual keys": usual.keys,
            "usual deepest": usual.deepest,
            **self.learner.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state that `state` gave, of a run with the same settings and pictures.

        Raises:
            KeyError, RuntimeError: it is not the state of such a run.
        """
        self.learner.restore(state)
        # What `auto` finds may be another precision at another time.
        self._compute_in(getattr(torch, state["precision"]))
        self.step, self._failed = int(state["step"]), FailedSteps(self.device)
        self._failed.in_a_row = int(state["failed_in_a_row"])
        names = ("usual cls", "usual similarity", "usual keys", "usual deepest")
        # Earlier versions did not keep the last; it is found again as it was.
        if names[-1] in state:
            self._usual = Usual(*(state[name].to(self.device) for name in names))
