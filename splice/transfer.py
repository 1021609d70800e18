"""The optimisation of one pair: a generator learns to paint the structure image in the other's look.

Read top to bottom, this is the whole method: views of both pictures go through the generator, the
outputs through the frozen ViT, and the terms of the objective say what is wrong with them. The loop
yields a small record after every step to whoever watches.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice import objective
from splice.errors import RunError
from splice.features import Features, FrozenViT, self_similarity
from splice.generator import UNet
from splice.patches import MatchedPatches
from splice.precision import autocast_of, precision_of
from splice.recolour import Recolouring
from splice.semantics import Semantics, find_semantics, matching, transported_colours
from splice.settings import Depths, Settings, Term, factor_at
from splice.views import View, change_colours, draw_view, entire

SKIPS_TO_FULL_PRECISION, SKIPS_TO_GIVING_UP = 3, 10
"""Steps in a row without a finite loss and gradient, after which the loop goes to float32, and ends."""


@dataclass(frozen=True)
class Step:
    """What a watcher learns of one step.

    Attributes:
        step: its number, from 1.
        steps: of the whole run.
        losses: each term as it is summed, weight and schedule included, and their sum "total";
            scalars on the device, which a reader waits for.
        seconds: that the step took on the host.
        skipped: whether a loss or gradient was not finite, and nothing was learnt.
        precision: of the matrix products: "float32", "bfloat16" or "float16".
    """

    step: int
    steps: int
    losses: Mapping[str, Float[Tensor, ""]]
    seconds: float
    skipped: bool
    precision: str


@dataclass(frozen=True)
class Target:
    """A view of one of the two pictures with all that terms compare outputs with; no gradient."""

    view: View
    image: Float[Tensor, "1 3 height width"]
    features: Features
    similarity: Float[Tensor, "1 tokens tokens"] | None = None


class Transfer:
    """The generator of one pair, its optimiser, and the loop.

    Attributes:
        step: steps done.
        network: the U-Net, with the weights of the last step.
        average: the averaged weights that `picture` paints with.
    """

    def __init__(
        self,
        structure: Float[Tensor, "3 height width"],
        appearance: Float[Tensor, "3 rows columns"],
        settings: Settings,
        vit: FrozenViT,
        device: torch.device | str = "cpu",
    ) -> None:
        """Prepares everything that is found once for a pair.

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
        self.dtype = precision_of(settings.precision, self.device)
        self._full_vit, self.vit = vit, vit.at_precision(self.dtype)
        self.structure = structure[None].to(self.device, torch.float32)
        self.appearance = appearance[None].to(self.device, torch.float32)
        self.views = torch.Generator().manual_seed(settings.seed)
        self.noise = torch.Generator(self.device).manual_seed(settings.seed)
        self.skipped_in_a_row = 0
        inputs = 3 + (self.semantics.structure_codes.shape[1] if self._semantic_input else 0)
        self.network = UNet(
            inputs,
            skip=settings.generator.skip,
            start=settings.generator.start,
            generator=torch.Generator().manual_seed(settings.seed),
        ).to(self.device, memory_format=torch.channels_last)
        self.average = [weight.detach().clone() for weight in self.network.parameters()]
        self.optimiser = torch.optim.Adam(
            self.network.parameters(),
            lr=settings.optimiser.learning_rate,
            betas=(settings.optimiser.beta1, settings.optimiser.beta2),
            fused=self.device.type in ("cpu", "cuda"),
        )
        pool = settings.views.pool
        self._drawn = {
            role: [self._draw(role) for _ in range(pool)] for role in ("structure", "appearance")
        }
        self._targets: dict[tuple[str, int], Target] = {}

    # The loop.

    def steps(self) -> Iterator[Step]:
        """Runs until `settings.steps` steps are done, and yields a record after each.

        Raises:
            RunError: ten steps in a row had a loss or gradient that is not finite.
        """
        while self.step < self.settings.steps:
            begun = time.perf_counter()
            losses = self.losses()
            skipped = not self._learn(losses["total"])
            self.step += 1
            self._survive(skipped)
            detached = {name: loss.detach() for name, loss in losses.items()}
            precision = str(self.dtype).removeprefix("torch.")
            seconds = time.perf_counter() - begun
            yield Step(self.step, self.settings.steps, detached, seconds, skipped, precision)

    def losses(self) -> dict[str, Float[Tensor, ""]]:
        """The terms of the next step, weighted, and their sum "total"."""
        pairs = [(self._target("structure"), self._target("appearance"))]
        every = self.settings.views.entire_every
        if every and self.step % every == 0:
            pairs.append((self._entire("structure"), self._entire("appearance")))
        terms: dict[str, Tensor] = {}
        for structure, appearance in pairs:
            for name, value in self._terms(structure, appearance).items():
                terms[name] = terms[name] + value if name in terms else value
        terms["total"] = torch.stack(list(terms.values())).sum()
        return terms

    def _terms(self, structure: Target, appearance: Target) -> dict[str, Float[Tensor, ""]]:
        """All terms that count now, for one view of each picture."""
        terms, weights = self.settings.objective, self._weights()
        inputs = [self._input(structure.image, structure.view, "structure")]
        if "pixel_identity" in weights or "identity" in weights:
            source = appearance.image
            if "pixel_identity" in weights and terms.pixel_identity.recolour:
                source = self.recolouring(source, appearance.view, self.noise)
            inputs.append(self._input(source, appearance.view, "appearance"))
        painted = self._paint(inputs)
        output, reconstruction = painted[0], painted[-1]
        values: dict[str, Tensor] = {}

        seen = [output] + ([reconstruction] if "identity" in weights else [])
        features = self._look(seen, weights)
        if "appearance" in weights:
            blocks = self._blocks(terms.appearance.depths)
            values["appearance"] = _mean(
                objective.appearance_term(features[0].cls[b], appearance.features.cls[b])
                / self._scale("cls", b)
                for b in blocks
            )
        if "structure" in weights:
            similarity = self_similarity(features[0].keys[self.vit.blocks])
            assert structure.similarity is not None
            values["structure"] = objective.structure_term(
                similarity, structure.similarity
            ) / self._scale("similarity", self.vit.blocks)
        if "identity" in weights:
            last = self.vit.blocks
            values["identity"] = objective.identity_term(
                features[-1].keys[last], appearance.features.keys[last]
            ) / self._scale("keys", last)
        if "local" in weights:
            deepest = [t.features.keys[self.vit.blocks][0, 1:] for t in (structure, appearance)]
            meaning = objective.semantic_cost(deepest[0], deepest[1])
            values["local"] = _mean(
                objective.local_term(
                    features[0].tokens[b][0],
                    appearance.features.tokens[b][0],
                    meaning,
                    terms.local.semantics,
                )
                for b in self._blocks(terms.local.depths)
            )
        if "pixel_identity" in weights:
            values["pixel_identity"] = objective.pixel_term(reconstruction, appearance.image)
        if "colour" in weights:
            wanted = structure.view.cut(self._colour_target)
            values["colour"] = objective.colour_term(output, wanted, terms.colour.cells)
        if "patches" in weights:
            values["patches"] = self.patches(output, structure.view, self.noise)
        return {name: weights[name] * value for name, value in values.items()}

    def _weights(self) -> dict[str, float]:
        """The terms that count at this step, with their weights."""
        progress = self.step / self.settings.steps
        weights = {}
        for name in ("appearance", "structure", "identity", "local", "colour", "patches"):
            weights[name] = getattr(self.settings.objective, name).weight_at(progress)
        pixel = self.settings.objective.pixel_identity
        # A term that is taken every n steps counts n times then, so that its weight stays the mean.
        weights["pixel_identity"] = (
            pixel.every * pixel.weight_at(progress) if self.step % pixel.every == 0 else 0.0
        )
        return {name: weight for name, weight in weights.items() if weight > 0}

    def _learn(self, total: Float[Tensor, ""]) -> bool:
        """One step of the optimiser and of the average, if everything is finite; whether it was."""
        progress = self.step / self.settings.steps
        optimiser, average = self.settings.optimiser, self.settings.generator.average
        for group in self.optimiser.param_groups:
            group["lr"] = optimiser.learning_rate * factor_at(optimiser.schedule, progress)
        self.optimiser.zero_grad()
        total.backward()
        weights = list(self.network.parameters())
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).sum()
        if not bool(torch.isfinite(norm + total.detach())):
            return False
        self.optimiser.step()
        # Early on the average would still be mostly the first weights.
        kept = min(average, (self.step + 1) / (self.step + 10)) if average else 0.0
        with torch.no_grad():
            torch._foreach_lerp_(self.average, weights, 1 - kept)
        return True

    def _survive(self, skipped: bool) -> None:
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if skipped else 0
        if self.skipped_in_a_row >= SKIPS_TO_GIVING_UP:
            raise RunError(
                f"{SKIPS_TO_GIVING_UP} steps in a row up to step {self.step} had a loss or gradient "
                "that is not finite; a lower --optimiser.learning-rate may help."
            )
        if self.skipped_in_a_row >= SKIPS_TO_FULL_PRECISION and self.dtype != torch.float32:
            self.dtype, self.vit = torch.float32, self._full_vit.at_precision(torch.float32)

    # The generator.

    @torch.no_grad()
    def picture(self) -> Float[Tensor, "3 height width"]:
        """The entire structure image painted with the averaged weights, in [0, 1]."""
        live = [weight.detach().clone() for weight in self.network.parameters()]
        torch._foreach_copy_(list(self.network.parameters()), self.average)
        try:
            view = entire(self.structure)
            return self._paint([self._input(self.structure, view, "structure")])[0][0]
        finally:
            torch._foreach_copy_(list(self.network.parameters()), live)

    def _input(
        self, image: Float[Tensor, "1 3 height width"], view: View, role: str
    ) -> Float[Tensor, "1 inputs height width"]:
        """What the generator gets of a view: its colours, and the codes of what it shows."""
        if not self._semantic_input:
            return image
        codes = getattr(self.semantics, f"{role}_codes")
        return torch.cat([image * 2 - 1, view.cut(codes)], 1)

    def _paint(self, inputs: list[Tensor]) -> list[Float[Tensor, "1 3 height width"]]:
        """The generator's pictures, in one pass where the sizes agree."""
        with autocast_of(self.device, self.dtype):
            return _batched(
                lambda x: self.network(x.contiguous(memory_format=torch.channels_last)), inputs
            )

    @property
    def _semantic_input(self) -> bool:
        return self.settings.generator.input == "semantic"

    # Features.

    def _look(self, images: list[Tensor], weights: Mapping[str, float]) -> list[Features]:
        """Features of the outputs at the blocks that the terms need, with gradient."""
        wanted = self._wanted(weights)
        if not any(wanted.values()):
            return []
        seen = self.settings.seen
        return _batched(
            lambda x: self.vit(x, **wanted, short_side=seen.short_side, long_side=seen.long_side),
            images,
        )

    def _wanted(self, names: Mapping[str, float] | set[str]) -> dict[str, set[int]]:
        """The blocks whose features the named terms compare."""
        terms, last = self.settings.objective, {self.vit.blocks}
        cls = set(self._blocks(terms.appearance.depths)) if "appearance" in names else set()
        tokens = set(self._blocks(terms.local.depths)) if "local" in names else set()
        keys = last if {"structure", "identity"} & set(names) else set()
        return {"cls": cls, "tokens": tokens, "keys": keys}

    def _blocks(self, depths: Depths) -> list[int]:
        return sorted({max(1, round(depth * self.vit.blocks)) for depth in depths})

    # Targets.

    def _draw(self, role: str) -> tuple[View, Float[Tensor, "1 3 height width"]]:
        """A random view of one of the pictures."""
        image = getattr(self, role)
        view = draw_view(*image.shape[-2:], self.settings.views, self.views)
        part = view.cut(image)
        if role == "structure":
            part = change_colours(part, self.settings.views, self.views)
        return view, part

    def _target(self, role: str) -> Target:
        """A random view with its features: from the pool if there is one, else a fresh one."""
        if not self.settings.views.pool:
            return self._describe(*self._draw(role))
        index = int(torch.randint(self.settings.views.pool, (), generator=self.views))
        if (role, index) not in self._targets:
            self._targets[role, index] = self._describe(*self._drawn[role][index])
        return self._targets[role, index]

    def _entire(self, role: str) -> Target:
        if (role, -1) not in self._targets:
            image = getattr(self, role)
            self._targets[role, -1] = self._describe(entire(image), image)
        return self._targets[role, -1]

    @torch.no_grad()
    def _describe(self, view: View, image: Float[Tensor, "1 3 height width"]) -> Target:
        objective_ = self.settings.objective
        names = {
            name
            for name in type(objective_).model_fields
            if isinstance(getattr(objective_, name), Term) and getattr(objective_, name).weight
        }
        wanted, seen = self._wanted(names), self.settings.seen
        if "local" in names:
            wanted["keys"] = {self.vit.blocks}
        if not any(wanted.values()):
            return Target(view, image, Features((0, 0)))
        features = self.vit(image, **wanted, short_side=seen.short_side, long_side=seen.long_side)
        similarity = None
        if "structure" in names:
            similarity = self_similarity(features.keys[self.vit.blocks])
        return Target(view, image, features, similarity)

    # What is found once for a pair, when a term first needs it.

    @cached_property
    def semantics(self) -> Semantics:
        """Codes of meaning, and which parts of the two pictures correspond."""
        return find_semantics(
            self._full_vit, self.structure, self.appearance, self.settings.meaning
        )

    @cached_property
    def _matches(self) -> Float[Tensor, "structure_patches appearance_patches"]:
        return matching(self.semantics.similarity, self.settings.meaning.temperature)

    @cached_property
    def _colour_target(self) -> Float[Tensor, "1 3 height width"]:
        found = self.semantics
        coarse = transported_colours(
            self.appearance, self._matches, found.structure_grid, found.appearance_grid
        )
        return F.interpolate(
            coarse, size=self.structure.shape[-2:], mode="bilinear", align_corners=False
        )

    @cached_property
    def patches(self) -> MatchedPatches:
        """The term on patches of pixels."""
        return MatchedPatches(
            self.appearance, self.semantics, self._matches, self.settings.objective.patches
        )

    @cached_property
    def recolouring(self) -> Recolouring:
        """What makes the appearance image's colours those of the structure image."""
        return Recolouring(self.structure, self.appearance, self.semantics, self.settings)

    def _scale(self, kind: str, block: int) -> float:
        """What a term on features is divided by."""
        return self._scales[kind, block] if self.settings.objective.calibrated else 1.0

    @cached_property
    @torch.no_grad()
    def _scales(self) -> dict[tuple[str, int], float]:
        """Each feature term's value between the largest central squares of the two pictures."""
        last, seen = self.vit.blocks, self.settings.seen
        cls = self._blocks(self.settings.objective.appearance.depths)
        structure, appearance = (
            self._full_vit(
                _central_square(image),
                cls=cls,
                keys=[last],
                short_side=seen.short_side,
                long_side=seen.long_side,
            )
            for image in (self.structure, self.appearance)
        )
        between = {
            ("cls", b): objective.appearance_term(structure.cls[b], appearance.cls[b]) for b in cls
        }
        keys = [each.keys[last] for each in (structure, appearance)]
        between["keys", last] = objective.identity_term(keys[0], keys[1])
        between["similarity", last] = objective.structure_term(
            self_similarity(keys[0]), self_similarity(keys[1])
        )
        # A picture paired with itself has nothing to calibrate with.
        return {name: float(value) or 1.0 for name, value in between.items()}

    # Saving.

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, flat: tensors and plain values by name."""
        state: dict[str, Any] = {
            "step": self.step,
            "skipped_in_a_row": self.skipped_in_a_row,
            "precision": str(self.dtype).removeprefix("torch."),
            "views": self.views.get_state(),
            "noise": self.noise.get_state(),
        }
        names = [name for name, _ in self.network.named_parameters()]
        weights = list(self.network.parameters())
        for name, weight, average in zip(names, weights, self.average, strict=True):
            state[f"weight {name}"] = weight.detach().clone()
            state[f"average {name}"] = average.clone()
            for moment, value in self.optimiser.state.get(weight, {}).items():
                state[f"{moment} {name}"] = value.clone()
        return state

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to a state that `state` gave.

        Raises:
            KeyError, RuntimeError: it is not the state of such a generator.
        """
        self.step = int(state["step"])
        self.skipped_in_a_row = int(state["skipped_in_a_row"])
        self.dtype = getattr(torch, state["precision"])
        self.vit = self._full_vit.at_precision(self.dtype)
        self.views.set_state(state["views"].cpu())
        self.noise.set_state(state["noise"].cpu())
        for (name, weight), average in zip(
            self.network.named_parameters(), self.average, strict=True
        ):
            weight.copy_(state[f"weight {name}"])
            average.copy_(state[f"average {name}"])
            moments = ("step", "exp_avg", "exp_avg_sq")
            if f"step {name}" in state:
                self.optimiser.state[weight] = {
                    # Moments lie in memory as the weights do, so that sums run in the same order.
                    moment: state[f"{moment} {name}"].clone()
                    if moment == "step"
                    else torch.empty_like(weight).copy_(state[f"{moment} {name}"])
                    for moment in moments
                }


def run_pair(
    structure: Float[Tensor, "3 height width"],
    appearance: Float[Tensor, "3 rows columns"],
    settings: Settings,
    vit: FrozenViT,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "3 height width"]:
    """The spliced picture of a pair, all steps at once; images in [0, 1]."""
    transfer = Transfer(structure, appearance, settings, vit, device)
    for _ in transfer.steps():
        pass
    return transfer.picture()


def _batched(function: Any, images: list[Tensor]) -> list[Any]:
    """The function's results for single images, called once for all that have the same size."""
    results: list[Any] = [None] * len(images)
    for size in {tuple(image.shape): None for image in images}:
        members = [i for i, image in enumerate(images) if tuple(image.shape) == size]
        together = function(torch.cat([images[i] for i in members]))
        for row, i in enumerate(members):
            results[i] = together[row : row + 1]
    return results


def _central_square(
    image: Float[Tensor, "1 3 height width"],
) -> Float[Tensor, "1 3 side side"]:
    height, width = image.shape[-2:]
    side = min(height, width)
    view = View((height - side) // 2, (width - side) // 2, side, side)
    return view.cut(image)


def _mean(values: Iterator[Tensor]) -> Float[Tensor, ""]:
    return torch.stack(list(values)).mean()
