"""The optimisation of one pair: a generator learns to paint one picture in the look of the other.

The generator paints, the frozen transformer looks at what was painted, and the terms of the method
(`painting`, or the published one, `paper`) say what is wrong with it. The loop yields a small record
after every step to whoever watches.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.fixed_order import sums_in_fixed_order
from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.precision import precision_of
from splice.errors import RunError
from splice.method.appearances import appearances_of, check_looks
from splice.method.failures import FailedSteps, Outcome
from splice.method.foreground import find_foreground
from splice.method.learner import Learner
from splice.method.masks import Frame, checked_mask
from splice.method.painting import Painting
from splice.method.paper import Published
from splice.method.protocol import Method
from splice.method.settings import Settings
from splice.method.sparing import in_one_piece, is_out_of_memory, let_go, spares
from splice.method.step import Step
from splice.method.strength import given_back

SKIPS_TO_FULL_PRECISION, SKIPS_TO_GIVING_UP = 3, 10
"""Steps in a row with a loss or gradient that is not finite, after which the loop goes to float32,
and after which it ends."""

T = TypeVar("T")


class Transfer:
    """The loop of one pair, with all that it knows.

    Attributes:
        step: steps done.
        sparing: whether the run takes less memory and more time: pictures are large, or memory ran out.
        method: what the generator is given, and what is wrong with what it paints.
    """

    def __init__(
        self,
        structure: Float[Tensor, "3 height width"],
        appearance: Float[Tensor, "3 _ _"] | Sequence[Float[Tensor, "3 _ _"]],
        settings: Settings,
        vit: FrozenViT,
        device: torch.device | str = "cpu",
        *,
        structure_mask: Float[Tensor, "_ _"] | None = None,
        appearance_mask: Float[Tensor, "_ _"] | Sequence[Float[Tensor, "_ _"] | None] | None = None,
        method: Callable[..., Method] | None = None,
    ) -> None:
        """Prepares the first picture; what else is found once for a pair is found when it is needed.

        Args:
            structure: the structure image, in [0, 1], at the size of the output.
            appearance: the appearance image, in [0, 1], of about that size; or several, of which each
                part of the structure image takes the best match.
            settings: of the run.
            vit: the frozen transformer, on the device.
            device: where to compute.
            structure_mask: of the structure image's size; 1 where it is painted, 0 where it is kept;
                without one all is painted, or, to keep the background, what stands out.
            appearance_mask: of the appearance image's size, 1 where the look comes from; or one for
                each of several.
            method: makes the method, of what `Method` is made of; by default that of the settings.

        Raises:
            InputError: a precision that the device does not have; masks or weights of looks that do
                not fit the pictures; nothing that stands out; more than the published method can do.
        """
        settings = settings.settled(structure.shape[-2], structure.shape[-1])
        self.settings, self.device, self.step = settings, torch.device(device), 0
        self.sparing, self._note = False, ""
        self.dtype = precision_of(settings.precision, self.device)
        self.full_vit = vit.compiled() if settings.compiled else vit
        photograph = structure[None].to(self.device, torch.float32)
        if structure_mask is None and settings.keep_background:
            structure_mask = find_foreground(vit, photograph)
        mask = checked_mask(structure_mask, structure, "structure")
        mask = None if mask is None else mask.to(self.device, torch.float32)
        self.frame = Frame.around(photograph, mask)
        self.large = self.frame.seen
        pictures = [appearance] if isinstance(appearance, Tensor) else list(appearance)
        masks = [appearance_mask] if isinstance(appearance_mask, Tensor) else appearance_mask or []
        check_looks(pictures, masks, mask is not None, settings)
        others = appearances_of(pictures, masks, settings.look_weights, self.device)
        # Views are drawn on the host, so that their sizes are known without asking the device.
        self.random = torch.Generator().manual_seed(settings.seed)
        self.failed = FailedSteps(self.device)
        if method is None:
            method = Painting if settings.method == "painting" else Published
        vit = self.full_vit.at_precision(self.dtype)
        seen_mask = self.frame.seen_mask
        self.method = method(self.large, others, settings, vit, self.random, seen_mask)
        self.structure, self.appearance = self.method.structure, self.method.appearance
        if spares(self.structure.shape[-2], self.structure.shape[-1], settings):
            self.spare_memory()
        # What the first picture needs is found here, where it is tried again while memory is spared.
        self._within_memory(lambda: self.method.first(0, self.structure))

    @cached_property
    def learner(self) -> Learner:
        """The generator, its average and its optimiser, which the first picture does without."""
        inputs = self._within_memory(lambda: self.method.inputs(0, 1).shape[1])
        learner = Learner(inputs, self.settings, self.device)
        learner.network.sparing = self.sparing
        if self.settings.compiled:
            learner.network.compile_learning()
        return learner

    def steps(self) -> Iterator[Step]:
        """Runs until `settings.steps` steps are done, and yields a record after each.

        Raises:
            RunError: ten steps in a row had a loss or gradient that is not finite.
            RuntimeError, MemoryError: memory ran out, and again when it was spared.
        """
        while self.step < self.settings.step_count:
            begun = time.perf_counter()
            random = self.random.get_state()
            losses, learnt = self._within_memory(lambda random=random: self._learn(random))
            precision = str(self.dtype).removeprefix("torch.")
            self.step += 1
            self._survive(learnt)
            seconds = time.perf_counter() - begun
            note, self._note = self._note, ""
            steps, output = self.settings.step_count, self.output
            yield Step(self.step, steps, losses, seconds, learnt, precision, output, note)

    @torch.no_grad()
    def picture(self) -> Float[Tensor, "3 height width"]:
        """The structure image painted with the averaged weights, in [0, 1], at the painting's size.

        With a mask of the structure image, that lies in the photograph, at the photograph's size.
        """
        return self._picture(self.structure, lambda painted: painted)

    @torch.no_grad()
    def output(self) -> Float[Tensor, "3 rows columns"]:
        """The picture at the size of the structure image that the loop was given, in [0, 1]."""
        return self._picture(self.large, lambda painted: self.method.delivered(painted, self.large))

    def _picture(
        self, photograph: Float[Tensor, "1 3 _ _"], delivered: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "3 _ _"]:
        """The picture so far: what is painted of a photograph, the rest left as it is."""
        painted = self.method.first(self.step, photograph)
        if painted is None:
            painted = delivered(self._painted(self.method.inputs))
            if self.settings.strength < 1:
                own = delivered(self._painted(self.method.own_inputs))
                painted = given_back(painted, own, photograph, self.settings.strength)
        return self.frame.filled(painted)[0]

    def _painted(self, read: Callable[[int, int], Tensor]) -> Float[Tensor, "1 3 height width"]:
        """What the generator paints; a large picture, and any once memory is spared, in bands."""
        height, width = self.method.given_size
        rows, columns = self.structure.shape[-2:]
        with self.learner.averaged():
            if not self.sparing and in_one_piece(height, width):
                try:
                    whole = self.learner.paint([read(0, height)], self.dtype)[0]
                    return whole[..., :rows, :columns]
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                let_go(self.device)
            whole = self.learner.paint_in_bands(read, height, width, self.dtype)
            return whole[..., :rows, :columns]

    def losses(self) -> dict[str, Float[Tensor, ""]]:
        """The terms of the next step, weighted, and their sum "total"."""
        terms = self.method.losses(self.step, lambda inputs: self.learner.paint(inputs, self.dtype))
        nothing = torch.zeros((), device=self.device)
        terms["total"] = torch.stack(list(terms.values())).sum() if terms else nothing
        return terms

    def _learn(self, random: Tensor) -> tuple[dict[str, Float[Tensor, ""]], Outcome]:
        """The terms of the next step, and whether they were finite and the learner learnt from them.

        Args:
            random: state of the generator of views before the step, so that a step that ran out of
                memory draws the same again.
        """
        self.random.set_state(random)
        half = self.dtype == torch.float16
        progress = self.step / self.settings.step_count
        with sums_in_fixed_order():
            losses = self.losses()
            learnt = self.learner.learn(losses["total"], progress, self.step, half)
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
        self.full_vit = self.full_vit.spared()
        self.method.spare(self.full_vit.at_precision(self.dtype))
        if "learner" in vars(self):
            self.learner.network.sparing = True
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
        self.dtype = dtype
        self.method.use(self.full_vit.at_precision(dtype))

    # Saving.

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, flat: tensors and plain values by name."""
        self.failed.read()
        return {
            "step": self.step,
            "skipped_in_a_row": self.failed.in_a_row,
            "precision": str(self.dtype).removeprefix("torch."),
            "views": self.random.get_state(),
            # Before the first step it is what the seed makes of it.
            **(self.learner.state() if self.step else {}),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state that `state` gave, of a run with the same settings and pictures.

        Raises:
            KeyError, RuntimeError: it is not the state of such a run.
        """
        if state["step"]:
            self.learner.restore(state)
        self.step, self.failed = int(state["step"]), FailedSteps(self.device)
        self.failed.in_a_row = int(state["skipped_in_a_row"])
        if state["precision"] != str(self.dtype).removeprefix("torch."):
            self._compute_in(getattr(torch, state["precision"]))
        self.random.set_state(state["views"].cpu())
