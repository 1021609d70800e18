"""Inversions that run together, through one grouped network and one pass of the ViT."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.precision import autocast_of
from splice.studies.inversion.prior import NOISE_CHANNELS, DeepImagePrior
from splice.studies.inversion.settings import Feature
from splice.studies.inversion.subjects import Picture, Subject
from splice.studies.inversion.targets import represent, targets


class Batch:
    """Inversions of one picture.

    Attributes:
        places: of each among all inversions of the run.
        network: their Deep Image Priors, grouped.
        generators: of the fresh noise of each.
    """

    def __init__(
        self,
        vit: FrozenViT,
        image: Picture,
        feature: Feature,
        inversions: Sequence[Subject],
        places: Sequence[int],
    ) -> None:
        """Makes the networks, their noise and their targets.

        Args:
            vit: the backbone.
            image: that all of them invert, on the device of the ViT.
            feature: which; see `represent`.
            inversions: of that picture.
            places: see above.
        """
        device = vit.embed.weight.device
        self.places = places
        self._vit = vit
        self._feature: Feature = feature
        self._blocks = [each.block for each in inversions]
        half = next(vit.layers.parameters()).dtype == torch.bfloat16
        self._precision = torch.bfloat16 if half else torch.float32
        generators = [torch.Generator().manual_seed(each.seed) for each in inversions]
        self.network = DeepImagePrior(generators).to(device)
        shape = (NOISE_CHANNELS, *image.shape[1:])
        self._fixed = torch.stack([torch.randn(shape, generator=g) for g in generators]).to(device)
        seeds = [int(torch.randint(2**62, (), generator=each)) for each in generators]
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._targets = targets(vit, image, feature, self._blocks)

    def draw(self, deviation: float) -> Float[Tensor, "networks 3 height width"]:
        """What the networks draw from their fixed noise and fresh noise of that deviation."""
        noise = self._fixed
        if deviation:
            noise = torch.empty_like(self._fixed)
            for one, generator in zip(noise, self.generators, strict=True):
                one.normal_(0, deviation, generator=generator)
            noise.add_(self._fixed)
        with autocast_of(noise.device, self._precision):
            return self.network(noise)

    def losses(self, deviation: float) -> Float[Tensor, " networks"]:
        """Of each, the distance of what it draws to its target."""
        found = represent(self._vit, self.draw(deviation), self._feature, self._blocks)
        return torch.stack(
            [
                self._targets[block].distance(found[block][row])
                for row, block in enumerate(self._blocks)
            ]
        )

    def own(self, together: Float[Tensor, "..."], row: int) -> Float[Tensor, "..."]:
        """A copy of one network's part of a parameter or of its moments."""
        return together.unflatten(0, (len(self.places), -1))[row].clone()


def arrange(
    vit: FrozenViT,
    images: Sequence[Picture],
    feature: Feature,
    inversions: Sequence[Subject],
    together: int | None = None,
) -> list[Batch]:
    """All inversions in batches, each of one picture.

    Args:
        vit: the backbone.
        images: that they invert, as the ViT sees them, on its device.
        feature: which; see `represent`.
        inversions: at least one of each picture.
        together: how many make a batch; by default as many as fit.
    """
    batches = []
    for index, image in enumerate(images):
        places = [place for place, each in enumerate(inversions) if each.image == index]
        # Neighbours in a batch share a ViT pass that ends at the deepest of their blocks.
        places.sort(key=lambda place: inversions[place].block)
        deepest = inversions[places[-1]]
        size = together or _that_fit(vit, image, feature, deepest, len(places))
        for start in range(0, len(places), size):
            chosen = places[start : start + size]
            some = [inversions[place] for place in chosen]
            batches.append(Batch(vit, image, feature, some, chosen))
    return batches


def _that_fit(
    vit: FrozenViT, image: Picture, feature: Feature, deepest: Subject, count: int
) -> int:
    """How many inversions to batch: one on a CPU, else as many as half of the memory takes.

    What a step keeps for its backward pass is counted on one inversion; gradients and work
    space come to about as much again.
    """
    if image.device.type == "cpu":
        return 1
    if image.device.type != "cuda":
        return min(count, 4)
    batch = Batch(vit, image, feature, [deepest], [0])
    each = bytes_kept(lambda: batch.losses(0.0))
    free, _ = torch.cuda.mem_get_info(image.device)
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
