"""The optimisation of one pair: a generator learns to paint one picture in the look of the other.

Read top to bottom, this is the whole method: views of both pictures go through the generator, its
outputs through the frozen ViT, and the terms of the objective (`splice.view_terms`) say what is wrong
with them. The loop yields a small record after every step to whoever watches.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from splice import objective
from splice.errors import RunError
from splice.failures import FailedSteps, Outcome
from splice.features import FrozenViT
from splice.memory import in_one_piece, is_out_of_memory, let_go, spares
from splice.painter import Painter
from splice.precision import precision_of
from splice.preparation import Preparation
from splice.settings import Settings
from splice.targets import Role, Target, Targets
from splice.terms import Objective, Term
from splice.view_terms import ViewTerms
from splice.views import View

TERMS = tuple(name for name, value in Objective() if isinstance(value, Term))
"""The terms of the objective, by the names of their settings."""

SKIPS_TO_FULL_PRECISION, SKIPS_TO_GIVING_UP = 3, 10
"""Steps in a row with a loss or gradient that is not finite, after which the loop goes to float32,
and after which it ends."""

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """What a watcher learns of one step.

    Attributes:
        step: its number, from 1.
        steps: of the whole run.
        losses: each term as it is summed, weight and schedule included, and their sum "total";
            scalars on the device, which a reader waits for.
        seconds: that the step took on the host.
        learnt: whether loss and gradients were finite; if not, nothing was learnt.
        precision: of the matrix products: "float32", "bfloat16" or "float16".
        note: what has changed in the way that the run works, in a sentence, when it has.
    """

    step: int
    steps: int
    losses: Mapping[str, Float[Tensor, ""]]
    seconds: float
    learnt: Outcome
    precision: str
    note: str = ""

    @property
    def skipped(self) -> bool:
        """Whether nothing was learnt, which a reader waits for."""
        return not self.learnt


class Transfer:
    """The loop of one pair, with all that it knows.

    Attributes:
        step: steps done.
        sparing: whether the run takes less memory and more time: views are large, or memory ran out.
        painter: the generator, its average and its optimiser.
        prepared: what is found once for the pair.
        targets: views of both pictures and what outputs are compared with.
    """

    def __init__(
        self,
        structure: Float[Tensor, "3 height width"],
        appearance: Float[Tensor, "3 rows columns"],
        settings: Settings,
        vit: FrozenViT,
        device: torch.device | str = "cpu",
    ) -> None:
        """Prepares the generator; what is found once for a pair is found when it is needed.

        Args:
            structure: the structure image, in [0, 1], at the size of the output.
            appearance: the appearance image, in [0, 1], of about that size.
            settings: of the run.
            vit: the frozen transformer, on the device.
            device: where to compute.

        Raises:
            InputError: a precision that the device does not have.
        """
        self.settings, self.device, self.step = settings, torch.device(device), 0
        self.sparing, self._note = False, ""
        self.dtype = precision_of(settings.precision, self.device)
        vit = vit.compiled() if settings.compiled else vit
        self.full_vit, self.first_vit = vit, vit.at_precision(self.dtype)
        self.vit = self.first_vit
        self.structure = structure[None].to(self.device, torch.float32)
        self.appearance = appearance[None].to(self.device, torch.float32)
        # Views are drawn on the host, so that their sizes are known without asking the device.
        views = torch.Generator().manual_seed(settings.seed)
        self.noise = torch.Generator(self.device).manual_seed(settings.seed)
        self.failed = FailedSteps(self.device)
        pictures = (self.structure, self.appearance)
        self.prepared = Preparation(*pictures, settings, self.first_vit)
        self.targets = Targets(*pictures, settings, self.vit, vit, views)
        self._view_terms = ViewTerms(settings, self.prepared, self.targets, self.noise)
        sizes = [(picture.shape[-2], picture.shape[-1]) for picture in pictures]
        if any(spares(height, width, settings.views) for height, width in sizes):
            self.spare_memory()
        pixel = View(0, 0, 1, 1)
        inputs = self._within_memory(
            lambda: self._input(pixel.cut(self.structure), pixel, "structure").shape[1]
        )
        self.painter = Painter(
            inputs, settings.generator, settings.optimiser, settings.seed, self.device
        )
        self.painter.network.sparing = self.sparing
        if settings.compiled:
            self.painter.network.compile_learning()

    def steps(self) -> Iterator[Step]:
        """Runs until `settings.steps` steps are done, and yields a record after each.

        Raises:
            RunError: ten steps in a row had a loss or gradient that is not finite.
            RuntimeError, MemoryError: memory ran out, and again when it was spared.
        """
        while self.step < self.settings.steps:
            begun = time.perf_counter()
            random = (self.targets.random.get_state(), self.noise.get_state())
            losses, learnt = self._within_memory(lambda random=random: self._learn(*random))
            precision = str(self.dtype).removeprefix("torch.")
            self.step += 1
            self._survive(learnt)
            seconds = time.perf_counter() - begun
            steps, note, self._note = self.settings.steps, self._note, ""
            yield Step(self.step, steps, losses, seconds, learnt, precision, note)

    @property
    def progress(self) -> float:
        """How much of the run is done, in [0, 1]."""
        return self.step / self.settings.steps

    @torch.no_grad()
    def picture(self) -> Float[Tensor, "3 height width"]:
        """The entire structure image painted with the averaged weights, in [0, 1].

        A large one is painted in bands, and so is any once memory is spared.
        """
        height, width = self.structure.shape[-2:]

        def read(top: int, bottom: int) -> Tensor:
            rows = View(top, 0, bottom - top, width)
            return self._input(rows.cut(self.structure), rows, "structure")

        with self.painter.averaged():
            if not self.sparing and in_one_piece(height, width):
                try:
                    return self.painter.paint([read(0, height)], self.dtype)[0][0]
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                let_go(self.device)
            return self.painter.paint_in_bands(read, height, width, self.dtype)[0]

    def losses(self) -> dict[str, Float[Tensor, ""]]:
        """The terms of the next step, weighted, and their sum "total"."""
        weights = self.weights()
        pairs = [(self.targets.draw("structure"), self.targets.draw("appearance"))]
        every = self.settings.views.entire_every
        if every and self.step % every == 0:
            pairs.append((self.targets.entire("structure"), self.targets.entire("appearance")))
        sums: dict[str, Tensor] = {}
        for structure, appearance in pairs:
            for name, value in self._terms(structure, appearance, weights).items():
                sums[name] = sums.get(name, 0) + weights[name] * value
        nothing = torch.zeros((), device=self.device)
        sums["total"] = torch.stack(list(sums.values())).sum() if sums else nothing
        return sums

    def weights(self) -> dict[str, float]:
        """The terms that count at the next step, with their weights."""
        terms = {name: getattr(self.settings.objective, name) for name in TERMS}
        weights = {
            name: term.weight_at(self.progress) * term.takes(self.step)
            for name, term in terms.items()
        }
        return {name: weight for name, weight in weights.items() if weight > 0}

    def _terms(
        self, structure: Target, appearance: Target, weights: Mapping[str, float]
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms of one view of each picture, unweighted."""
        terms = self.settings.objective
        inputs = [self._input(structure.image, structure.view, "structure")]
        if {"identity", "pixel_identity"} & weights.keys():
            source, detail = appearance.image, None
            if "pixel_identity" in weights and terms.pixel_identity.recolour > 0:
                source, detail = self.prepared.recolouring(source, appearance.view, self.noise)
            inputs.append(self._input(source, appearance.view, "appearance", detail))
        painted = self.painter.paint(inputs, self.dtype)
        del inputs  # the generator keeps what it needs
        return self._view_terms(painted[0], painted[-1], structure, appearance, weights)

    def _input(
        self,
        image: Float[Tensor, "1 3 height width"],
        view: View,
        role: Role,
        detail: Float[Tensor, "1 3 height width"] | None = None,
    ) -> Float[Tensor, "1 inputs height width"]:
        """What the generator gets of a view: light and dark, meaning, noise, collage and underpainting.

        The colours of the picture are those that are to go, and would leave stains.
        """
        if self.settings.generator.input == "image":
            return image
        # Convolutions would round it themselves, and keep both.
        light = (objective.brightness(image) * 2 - 1).to(
            self.dtype, memory_format=torch.channels_last
        )
        parts = [light, self.prepared.conditions(role, view, self.dtype)]
        if self.settings.generator.underpainted:
            ground = self.prepared.underpaintings[role].logits(view, detail)
            parts.append(ground.to(self.dtype, memory_format=torch.channels_last))
        return torch.cat(parts, 1)

    def _learn(self, views: Tensor, noise: Tensor) -> tuple[dict[str, Float[Tensor, ""]], Outcome]:
        """The terms of the next step, and whether they were finite and the painter learnt from them.

        Args:
            views: state of the generator of views before the step, so that a step that ran out of
                memory draws the same again.
            noise: likewise of the generator of noise.
        """
        self.targets.random.set_state(views)
        self.noise.set_state(noise)
        losses = self.losses()
        half = self.dtype == torch.float16
        learnt = self.painter.learn(losses["total"], self.progress, self.step, half)
        return {name: loss.detach() for name, loss in losses.items()}, Outcome.of(learnt)

    def _within_memory(self, work: Callable[[], T]) -> T:
        """What the work gives; if memory runs out, it is done once more while memory is spared."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if self.sparing or not is_out_of_memory(error):
                raise
        # Only here is the error gone, and with it all that the failed work held.
        self.spare_memory()
        self._note = (
            "memory ran out; the run goes on with less of it, in which a step takes a third longer"
        )
        return work()

    def spare_memory(self) -> None:
        """From now on, parts are computed twice rather than kept, and pictures seen one by one."""
        self.sparing = True
        self.full_vit, self.first_vit = self.full_vit.spared(), self.first_vit.spared()
        self.vit = self.full_vit.at_precision(self.dtype)
        self.targets.vit, self.targets.full_vit = self.vit, self.full_vit
        self.prepared.vit = self.first_vit
        if hasattr(self, "painter"):
            self.painter.network.sparing = True
        let_go(self.device)

    def _survive(self, learnt: Outcome) -> None:
        """Counts steps that failed in a row, and does something about it."""
        self.failed.add(learnt)
        if self.failed.in_a_row >= SKIPS_TO_GIVING_UP:
            raise RunError(
                f"{SKIPS_TO_GIVING_UP} steps in a row, up to step {self.step}, had a loss or "
                "gradient that is not finite; a lower --optimiser.learning-rate may help."
            )
        if self.failed.in_a_row >= SKIPS_TO_FULL_PRECISION and self.dtype != torch.float32:
            self._compute_in(torch.float32)
            failed = f"{self.failed.in_a_row} steps in a row were not finite"
            self._note = f"{failed}; the run goes on in float32"

    def _compute_in(self, dtype: torch.dtype) -> None:
        self.dtype, self.vit = dtype, self.full_vit.at_precision(dtype)
        self.targets.forget(self.vit)

    # Saving.

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, flat: tensors and plain values by name."""
        self.failed.read()
        return {
            "step": self.step,
            "skipped_in_a_row": self.failed.in_a_row,
            "precision": str(self.dtype).removeprefix("torch."),
            "views": self.targets.random.get_state(),
            "noise": self.noise.get_state(),
            **self.painter.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state that `state` gave, of a run with the same settings and pictures.

        Raises:
            KeyError, RuntimeError: it is not the state of such a run.
        """
        self.painter.restore(state)
        self.step, self.failed = int(state["step"]), FailedSteps(self.device)
        self.failed.in_a_row = int(state["skipped_in_a_row"])
        self._compute_in(getattr(torch, state["precision"]))
        self.targets.random.set_state(state["views"].cpu())
        self.noise.set_state(state["noise"].cpu())
