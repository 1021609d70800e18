"""Seconds of a step of inversion, against the floor and against other ways to batch.

The floor is one forward and backward pass of the network and one of the ViT, nothing else, on the
same sizes and in the same precision. Variants take turns, so that a busy moment hits them all.

    python benchmarks/inversion.py --size 224 --inversions 4 [--json FILE]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.precision import autocast_of, precision_of
from splice.running.device import describe_device, find_device, versions
from splice.studies.inversion.loop import inversion_steps
from splice.studies.inversion.prior import NOISE_CHANNELS, DeepImagePrior
from splice.studies.inversion.settings import FEATURES, InversionSettings
from splice.studies.inversion.targets import represent


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Seconds of a step of inversion.")
    parser.add_argument("--backbone", default="dinov2_vits14")
    parser.add_argument("--feature", choices=FEATURES, default="keys")
    parser.add_argument("--size", type=int, default=224, help="of a square picture, in pixels")
    parser.add_argument("--inversions", type=int, default=4, help="in the comparison of batches")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()

    device = find_device(chosen.device)
    vit = FrozenViT.load(
        chosen.backbone, device=device, dtype=precision_of(chosen.precision, device)
    )
    image = torch.rand(3, chosen.size, chosen.size, generator=torch.Generator().manual_seed(0))
    many = chosen.inversions
    variants = {
        "network": network_alone(vit, image, device),
        "vit": vit_alone(vit, image, device, chosen.feature),
        "step": steps(vit, image, chosen.feature, 1),
        f"step of {many}, one after another": steps(vit, image, chosen.feature, many, together=1),
        f"step of {many}, one batch": steps(vit, image, chosen.feature, many, together=many),
    }
    seconds = {
        name: statistics.median(times) for name, times in timed(variants, chosen.rounds, device)
    }
    floor = seconds["network"] + seconds["vit"]
    one_by_one, batched = (seconds[name] for name in list(variants)[3:])
    for name, value in seconds.items():
        print(f"{name:40} {1000 * value:9.1f} ms")
    print(f"{'step / (network + vit)':40} {seconds['step'] / floor:9.2f}")
    print(f"{'one batch / one after another':40} {batched / one_by_one:9.2f}")
    if chosen.json:
        result = {
            "seconds": seconds,
            "floor_seconds": floor,
            "step_over_floor": seconds["step"] / floor,
            "batch_over_one_by_one": batched / one_by_one,
            "precision": str(next(vit.layers.parameters()).dtype),
            "device": describe_device(device),
            "versions": versions(),
        }
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")


def timed(
    variants: dict[str, Callable[[], object]], rounds: int, device: torch.device
) -> list[tuple[str, list[float]]]:
    """Seconds of each variant in each round, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, run in variants.items():
            synchronise(device)
            start = time.perf_counter()
            run()
            synchronise(device)
            if turn:
                times[name].append(time.perf_counter() - start)
    return list(times.items())


def synchronise(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def network_alone(
    vit: FrozenViT, image: torch.Tensor, device: torch.device
) -> Callable[[], object]:
    """A Deep Image Prior forward and backward."""
    network = DeepImagePrior([torch.Generator().manual_seed(0)]).to(device)
    noise = torch.randn(1, NOISE_CHANNELS, *image.shape[1:]).to(device)
    gradient = torch.randn(1, *image.shape).to(device)
    half = next(vit.layers.parameters()).dtype

    def run() -> None:
        network.zero_grad()
        with autocast_of(device, half):
            drawn = network(noise)
        drawn.backward(gradient)

    return run


def vit_alone(
    vit: FrozenViT, image: torch.Tensor, device: torch.device, feature: str
) -> Callable[[], object]:
    """The ViT forward and backward to the picture, at the deepest block."""
    picture = image[None].to(device).requires_grad_()
    found = represent(vit, picture, feature, [vit.blocks])[vit.blocks]  # pyright: ignore[reportArgumentType]
    gradient = torch.randn_like(found)

    def run() -> None:
        picture.grad = None
        represent(vit, picture, feature, [vit.blocks])[vit.blocks].backward(gradient)  # pyright: ignore[reportArgumentType]

    return run


def steps(
    vit: FrozenViT, image: torch.Tensor, feature: str, seeds: int, together: int | None = None
) -> Callable[[], object]:
    """The steps of inversions of the deepest block, one at each call."""
    settings = InversionSettings.model_validate(
        {"feature": feature, "seeds": seeds, "size": image.shape[1], "steps": 100_000}
    )
    loop = inversion_steps([image], vit, settings, together=together)
    return lambda: next(loop)


if __name__ == "__main__":
    main()
