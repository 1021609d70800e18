"""Pictures that have the features of a given one: what a representation keeps, and what it forgets.

min over the weights θ of ||φ(F_θ(z)) - φ(I)||², with φ a feature of a frozen ViT, z fixed noise and
F_θ a Deep Image Prior (Tumanyan et al., "Splicing ViT Features for Semantic Appearance Transfer",
CVPR 2022, section 3.2). Each inversion has a network of its own; many run together.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.backbones.features import Features, self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.patch_grid import resize_to_patches
from splice.backbones.precision import autocast_of
from splice.errors import InputError, RunError
from splice.inversion.prior import NOISE_CHANNELS, SMALLEST_SIDE, DeepImagePrior
from splice.inversion.settings import Feature, InversionSettings
from splice.method.adam import Adam

State = dict[str, Tensor]
Picture = Float[Tensor, "3 _height _width"]
CHECKED_EVERY = 25
"""Steps between two looks at the losses; on an accelerator each look waits for it."""


@dataclass(frozen=True)
class Subject:
    """One inversion: which picture, which block, which seed."""

    image: int
    block: int
    seed: int


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


def represent(
    vit: FrozenViT,
    images: Float[Tensor, "batch 3 height width"],
    feature: Feature,
    blocks: Sequence[int],
) -> dict[int, Float[Tensor, "batch ..."]]:
    """The feature φ of the images at each of the blocks.

    Args:
        vit: the backbone.
        images: in [0, 1], sides multiples of its patch.
        feature: `cls` (batch width), `keys` (batch 1+patches width, [CLS] first), `tokens` (batch
            patches width), or `self-similarity` (batch 1+patches 1+patches, cosines of the keys).
        blocks: from 1.

    Raises:
        InputError: a block that the backbone does not have.
    """
    kind = "keys" if feature == "self-similarity" else feature
    found: Features = vit(images, **{kind: set(blocks)}, short_side=None)
    described = {block: getattr(found, kind)[block] for block in set(blocks)}
    if feature == "self-similarity":
        return {block: self_similarity(keys) for block, keys in described.items()}
    return described


@dataclass(frozen=True)
class Target:
    """A feature to be met, and how far from it a picture of noise is.

    Attributes:
        feature: φ(I) of one picture at one block.
        scale: mean squared difference to φ of a picture whose values are drawn evenly from [0, 1].
    """

    feature: Float[Tensor, "..."]
    scale: Float[Tensor, ""]

    def distance(self, feature: Float[Tensor, "..."]) -> Float[Tensor, ""]:
        """Mean squared difference over `scale`: 0 for the same feature, 1 for no nearer than noise.

        A constant factor changes neither the minimum nor Adam's way there, but makes blocks, whose
        features differ in size by orders of magnitude, comparable; and it keeps the gradients of
        the small ones clear of the constant in Adam's denominator.
        """
        return F.mse_loss(feature, self.feature) / self.scale


@torch.no_grad()
def targets(
    vit: FrozenViT, image: Picture, feature: Feature, blocks: Sequence[int]
) -> dict[int, Target]:
    """The features of the picture that inversions of it have to meet, by block.

    Args:
        vit: the backbone.
        image: in [0, 1], sides multiples of its patch.
        feature: which; see `represent`.
        blocks: from 1.
    """
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)).to(image)
    found, random = (represent(vit, x[None], feature, blocks) for x in (image, noise))
    return {
        block: Target(found[block][0], F.mse_loss(random[block], found[block]).clamp_min(1e-12))
        for block in found
    }


def subjects(settings: InversionSettings, vit: FrozenViT, images: int = 1) -> list[Subject]:
    """All inversions that the settings ask for: by picture, then seed, then block.

    Raises:
        InputError: a block that the backbone does not have.
    """
    blocks = settings.blocks
    if blocks == "all":
        blocks = tuple(range(1, vit.blocks + 1))
    elif blocks == "deepest":
        blocks = (vit.blocks,)
    for block in blocks:
        if not 1 <= block <= vit.blocks:
            raise InputError(
                f"--block {block}: {vit.backbone.name} has blocks 1 to {vit.blocks}, "
                f"block {vit.blocks} being the deepest."
            )
    return [
        Subject(image, block, settings.seed + seed)
        for image in range(images)
        for seed in range(settings.seeds)
        for block in dict.fromkeys(blocks)
    ]


def seen(image: Picture, vit: FrozenViT, size: int) -> Picture:
    """The picture as an inversion compares with it: at the size that the ViT takes.

    The short side becomes `size` and the long side, at most 480/224 of it, follows the aspect.

    Raises:
        InputError: a size below what the Deep Image Prior can draw.
    """
    long_side = size * 480 // 224
    resized = resize_to_patches(image[None], vit.patch, size, long_side)[0].clamp(0, 1)
    if min(resized.shape[1:]) < SMALLEST_SIDE:
        raise InputError(
            f"--size {size} is too small: the Deep Image Prior draws at least "
            f"{SMALLEST_SIDE} pixels a side."
        )
    return resized


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
    inversions = subjects(settings, vit, len(images))
    runner = _Runner([seen(image, vit, settings.size) for image in images], vit, settings)
    try:
        runner.arrange(inversions, together)
        if state is not None:
            runner.restore(state)
        yield from runner.run()
    except torch.cuda.OutOfMemoryError as error:
        raise RunError(
            f"{runner.device} has too little memory for these inversions; "
            "ask for fewer together (--together), or a smaller --size."
        ) from error


@dataclass
class _Batch:
    """Inversions of one picture that run through one grouped network."""

    subjects: list[Subject]
    places: list[int]
    network: DeepImagePrior
    fixed: Float[Tensor, "networks 32 height width"]
    fresh: list[torch.Generator]
    targets: list[Target]

    def own(self, together: Float[Tensor, "..."], row: int) -> Float[Tensor, "..."]:
        """A copy of one network's part of a parameter or of its moments."""
        return together.unflatten(0, (len(self.subjects), -1))[row].clone()

    def draw(self, deviation: float) -> Float[Tensor, "networks 3 height width"]:
        if deviation == 0:
            return self.network(self.fixed)
        noise = torch.empty_like(self.fixed)
        for one, generator in zip(noise, self.fresh, strict=True):
            one.normal_(0, deviation, generator=generator)
        return self.network(noise.add_(self.fixed))


class _Runner:
    """The state of a run: batches of inversions and one optimiser over all their networks."""

    def __init__(
        self, images: Sequence[Picture], vit: FrozenViT, settings: InversionSettings
    ) -> None:
        self.vit, self.settings = vit, settings
        self.device = vit.embed.weight.device
        self.images = [image.to(self.device) for image in images]
        half = next(vit.layers.parameters()).dtype == torch.bfloat16
        self.precision = torch.bfloat16 if half else torch.float32
        self.done = 0

    def arrange(self, inversions: Sequence[Subject], together: int | None) -> None:
        """Makes the networks, their noise and their targets, in batches."""
        self.batches: list[_Batch] = []
        for index in range(len(self.images)):
            places = [place for place, each in enumerate(inversions) if each.image == index]
            # Neighbours in a batch share a ViT pass that ends at the deepest of their blocks.
            places.sort(key=lambda place: inversions[place].block)
            size = together or self._that_fit(inversions[places[-1]], len(places))
            for start in range(0, len(places), size):
                chosen = places[start : start + size]
                self.batches.append(self._batch([inversions[place] for place in chosen], chosen))
        self.order = [place for batch in self.batches for place in batch.places]
        self.rows = torch.tensor(self.order).argsort().to(self.device)
        self.adam = Adam(p for batch in self.batches for p in batch.network.parameters())

    def run(self) -> Iterator[InversionStep]:
        steps, started = self.settings.steps, time.perf_counter()
        while self.done < steps:
            deviation = self.settings.noise_deviation(self.done)
            losses = []
            for batch in self.batches:
                each = self._losses(batch, deviation)
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

    def pictures(self) -> list[Picture]:
        with torch.no_grad(), self._precision():
            drawn = [picture for batch in self.batches for picture in batch.draw(0.0)]
        by_place = dict(zip(self.order, drawn, strict=True))
        return [by_place[place].float() for place in range(len(drawn))]

    def state(self) -> State:
        """Of each inversion on its own, so that it may go on in other batches than it began in."""
        state = {"done": torch.tensor(self.done)}
        index = self._indices()
        for batch in self.batches:
            for row, (place, generator) in enumerate(zip(batch.places, batch.fresh, strict=True)):
                state[f"{place}.generator"] = generator.get_state().clone()
                for name, weights in batch.network.named_parameters():
                    for kind, moments in self.adam.moments.items():
                        moment = moments[index[weights]]
                        state[f"{place}.{kind}.{name}"] = batch.own(moment, row).cpu()
                    state[f"{place}.weights.{name}"] = batch.own(weights.detach(), row).cpu()
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        try:
            self.done = int(state["done"])
            index = self._indices()
            for batch in self.batches:
                for place, generator in zip(batch.places, batch.fresh, strict=True):
                    generator.set_state(state[f"{place}.generator"])
                for name, weights in batch.network.named_parameters():
                    values = {
                        kind: torch.cat([state[f"{place}.{kind}.{name}"] for place in batch.places])
                        for kind in ("weights", *self.adam.moments)
                    }
                    with torch.no_grad():
                        weights.copy_(values.pop("weights"))
                    self.adam.restore(
                        index[weights], torch.tensor(float(self.done)), *values.values()
                    )
        except (KeyError, RuntimeError) as error:
            raise InputError(
                "the state to go on from is of other inversions, or of another kind of device."
            ) from error

    def _batch(self, subjects: list[Subject], places: list[int]) -> _Batch:
        image = self.images[subjects[0].image]
        generators = [torch.Generator().manual_seed(subject.seed) for subject in subjects]
        network = DeepImagePrior(generators).to(self.device)
        shape = (NOISE_CHANNELS, *image.shape[1:])
        fixed = torch.stack([torch.randn(shape, generator=each) for each in generators])
        seeds = [int(torch.randint(2**62, (), generator=each)) for each in generators]
        fresh = [torch.Generator(self.device).manual_seed(seed) for seed in seeds]
        blocks = [subject.block for subject in subjects]
        wanted = targets(self.vit, image, self.settings.feature, blocks)
        in_order = [wanted[block] for block in blocks]
        return _Batch(subjects, places, network, fixed.to(self.device), fresh, in_order)

    def _losses(self, batch: _Batch, deviation: float) -> Float[Tensor, " networks"]:
        with self._precision():
            drawn = batch.draw(deviation)
        blocks = [subject.block for subject in batch.subjects]
        found = represent(self.vit, drawn, self.settings.feature, blocks)
        pairs = zip(blocks, batch.targets, strict=True)
        return torch.stack(
            [target.distance(found[block][row]) for row, (block, target) in enumerate(pairs)]
        )

    def _indices(self) -> dict[Tensor, int]:
        """The place of every network's weights among those that Adam learns."""
        return {weights: i for i, weights in enumerate(self.adam.weights)}

    def _learning_rate(self) -> float:
        start = 1 - self.settings.decay
        share = (self.done / self.settings.steps - start) / max(self.settings.decay, 1e-9)
        factor = (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
        return self.settings.learning_rate * factor

    def _precision(self) -> Any:
        return autocast_of(self.device, self.precision)

    def _that_fit(self, deepest: Subject, count: int) -> int:
        """How many inversions to batch: one on a CPU, else as many as half of the memory takes.

        What a step keeps for its backward pass is counted on one inversion; gradients and work
        space come to about as much again.
        """
        if self.device.type == "cpu":
            return 1
        if self.device.type != "cuda":
            return min(count, 4)
        batch = self._batch([deepest], [0])
        each = bytes_kept(lambda: self._losses(batch, 0.0))
        free, _ = torch.cuda.mem_get_info(self.device)
        return max(1, min(count, free // 2 // each))


def bytes_kept(compute: Callable[[], Tensor]) -> int:
    """Bytes of all tensors that a computation keeps for its backward pass, each counted once."""
    kept: dict[int, int] = {}

    def count(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
        result = compute()
    # Alive until here, or its memory might have been given to another tensor and counted as one.
    del result
    return sum(kept.values())
