"""Pictures that have the features of a given one: what a representation keeps, and what it forgets.

min over the weights θ of ||φ(F_θ(z)) - φ(I)||², with φ a feature of a frozen ViT, z fixed noise and
F_θ a Deep Image Prior (Tumanyan et al., "Splicing ViT Features for Semantic Appearance Transfer",
CVPR 2022, section 3.2). Each inversion has a network of its own; many run together.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError, RunError
from splice.method.adam import Adam
from splice.studies.inversion.batches import Batch, arrange
from splice.studies.inversion.settings import InversionSettings
from splice.studies.inversion.subjects import Picture, seen, subjects

State = dict[str, Tensor]
CHECKED_EVERY = 25
"""Steps between two looks at the losses; on an accelerator each look waits for it."""


@dataclass(frozen=True)
class InversionStep:
    """What one step did, to all inversions.

    Attributes:
        step: updates made so far, from 1.
        losses: of each inversion before the update, on the device: its squared feature distance,
            as a share of that of a picture of noise.
        seconds: since the start, resumed runs counted from where they were resumed.
        steps: that the run is to have.
        pictures: draws what the networks draw now from their fixed noise, in [0, 1].
        state: collects all that is needed to go on from here, as tensors. Like `pictures`, it
            tells of the present, so call it before asking for the next step.
    """

    step: int
    steps: int
    losses: Float[Tensor, " inversions"]
    seconds: float
    pictures: Callable[[], list[Picture]] = field(repr=False)
    state: Callable[[], State] = field(repr=False)


def inversion_steps(
    images: Sequence[Picture],
    vit: FrozenViT,
    settings: InversionSettings | None = None,
    *,
    state: Mapping[str, Tensor] | None = None,
    together: int | None = None,
) -> Iterator[InversionStep]:
    """Runs all inversions that the settings ask for, side by side, and yields after each step.

    The networks run in the precision of the ViT's matrix products where that is bfloat16, and
    their weights stay float32. An inversion comes out the same whatever runs beside it, up to
    rounding; on a CPU and with the same number of threads, the same to the last bit each time.

    Args:
        images: the pictures to invert, sRGB in [0, 1].
        vit: the backbone, on the device where everything is to run.
        settings: by default the paper's, of the deepest keys.
        state: of an earlier step of the same run, to go on from there.
        together: inversions that run as one batch, through one grouped network. By default one on
            a CPU, where batches are slower, and on a GPU as many as its memory takes.

    Raises:
        InputError: a block or size that cannot be.
        RunError: a loss that is not finite, or a device without enough memory.
    """
    settings = settings or InversionSettings()
    device = vit.embed.weight.device
    inversions = subjects(settings, vit, len(images))
    compared = [seen(image, vit, settings.size).to(device) for image in images]
    try:
        batches = arrange(vit, compared, settings.feature, inversions, together)
        runner = _Runner(batches, settings, device)
        if state is not None:
            runner.restore(state)
        yield from runner.run()
    except torch.cuda.OutOfMemoryError as error:
        raise RunError(
            f"{device} has too little memory for these inversions; "
            "ask for fewer together (--together), or a smaller --size."
        ) from error


class _Runner:
    """The state of a run: batches of inversions and one optimiser over all their networks."""

    def __init__(
        self, batches: Sequence[Batch], settings: InversionSettings, device: torch.device
    ) -> None:
        self.batches, self.settings = batches, settings
        order = [place for batch in batches for place in batch.places]
        self.rows = torch.tensor(order).argsort().to(device)
        self.adam = Adam(p for batch in batches for p in batch.network.parameters())
        self.index = {weights: i for i, weights in enumerate(self.adam.weights)}
        self.done = 0

    def run(self) -> Iterator[InversionStep]:
        steps, started = self.settings.steps, time.perf_counter()
        while self.done < steps:
            deviation = self.settings.noise_deviation(self.done)
            losses = []
            for batch in self.batches:
                each = batch.losses(deviation)
                # A sum keeps each inversion's gradient what it would be alone.
                each.sum().backward()
                losses.append(each.detach())
            self.adam.step(self._learning_rate())
            self.adam.forget_gradients()
            self.done += 1
            result = torch.cat(losses)[self.rows]
            if (self.done % CHECKED_EVERY == 0 or self.done == steps) and not bool(
                result.isfinite().all()
            ):
                raise RunError(
                    f"an inversion diverged by step {self.done}; "
                    "lower --learning-rate, or take --precision fp32."
                )
            seconds = time.perf_counter() - started
            yield InversionStep(self.done, steps, result, seconds, self.pictures, self.state)

    @torch.no_grad()
    def pictures(self) -> list[Picture]:
        drawn = [picture for batch in self.batches for picture in batch.draw(0.0)]
        return [drawn[row].float() for row in self.rows.tolist()]

    def state(self) -> State:
        """Of each inversion on its own, so that it may go on in other batches than it began in."""
        state = {"done": torch.tensor(self.done)}
        for batch in self.batches:
            for row, place in enumerate(batch.places):
                state[f"{place}.generator"] = batch.generators[row].get_state().clone()
                for name, weights in batch.network.named_parameters():
                    for kind, moments in self.adam.moments.items():
                        moment = moments[self.index[weights]]
                        state[f"{place}.{kind}.{name}"] = batch.own(moment, row).cpu()
                    state[f"{place}.weights.{name}"] = batch.own(weights.detach(), row).cpu()
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        try:
            self.done = int(state["done"])
            count = torch.tensor(float(self.done))
            for batch in self.batches:
                for place, generator in zip(batch.places, batch.generators, strict=True):
                    generator.set_state(state[f"{place}.generator"])
                for name, weights in batch.network.named_parameters():
                    values = {
                        kind: torch.cat([state[f"{place}.{kind}.{name}"] for place in batch.places])
                        for kind in ("weights", *self.adam.moments)
                    }
                    with torch.no_grad():
                        weights.copy_(values.pop("weights"))
                    self.adam.restore(self.index[weights], count, *values.values())
        except (KeyError, RuntimeError) as error:
            raise InputError(
                "the state to go on from is of other inversions, or of another kind of device."
            ) from error

    def _learning_rate(self) -> float:
        start = 1 - self.settings.decay
        share = (self.done / self.settings.steps - start) / max(self.settings.decay, 1e-9)
        factor = (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
        return self.settings.learning_rate * factor
