"""Parts of the GPU benchmark that measure steps and memory in their own process."""

import gc
import time
from collections.abc import Iterator
from typing import Any

import torch
from gpu_scale import Scale

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import find_backbone
from splice.backbones.weights import as_timm
from splice.backbones.weights.architecture import empty
from splice.method.settings import Settings
from splice.method.sparing import is_out_of_memory
from splice.method.transfer import Transfer
from splice.pictures.images import resize_short_side
from splice.studies.benchmark.literal import LiteralLoop
from splice.studies.benchmark.steps import measure
from splice.studies.benchmark.stopwatch import synchronise
from splice.studies.benchmark.table import as_data, operators

Found = dict[str, Any]
Pair = tuple[torch.Tensor, torch.Tensor]
TIMED_AFTER = 20
"""Steps of a timed run that warm up."""


def paper(scale: Scale) -> Iterator[Found]:
    """The published method: a step, its parts and the literal step; then a run of so many steps.

    The ViT has random weights, which cost as much as any others. Its step is measured in the
    precision that `auto` takes, and once in float32; the literal loop is in float32, as it is written.
    """
    model = random_vit(scale.fine).to(scale.device)
    vit = FrozenViT(model, find_backbone(scale.fine)).to(scale.device)
    for precision in ("auto", "fp32"):
        settings = scale.settings("paper", precision=precision)
        pair = noise(settings)

        def make(settings: Settings = settings, pair: Pair = pair) -> Transfer:
            return Transfer(pair[0], pair[1], settings, vit, scale.device)

        def literal(pair: Pair = pair) -> LiteralLoop:
            structure, appearance = (picture.to(scale.device) for picture in pair)
            timm_model = as_timm(find_backbone(scale.fine), model)
            return LiteralLoop(structure, appearance, timm_model, find_backbone(scale.fine))

        _fresh(scale)
        first = precision == "auto"
        found = measure(make, literal if first else None, rounds=scale.rounds)
        yield {precision: as_data(found, {})}
        if first:
            yield {"run": _run(scale, make(), 2000)}


def compiled(scale: Scale) -> Iterator[Found]:
    """Runs with `compiled` off and on: what compiling takes, a step, and what a whole run comes to."""
    for preset in ("default", "paper"):
        vit = _random_frozen(scale, preset)
        for on in (False, True):
            if on and scale.tiny:
                yield {f"{preset}_compiled": "left out: on a CPU, compiling takes minutes"}
                continue
            settings = scale.settings(preset, precision="auto", compiled=on)
            _fresh(scale)
            begun = time.perf_counter()
            transfer = Transfer(*noise(settings), settings, vit, scale.device)
            synchronise(transfer.device)
            preparation = time.perf_counter() - begun
            run = _run(scale, transfer, transfer.settings.step_count)
            name = f"{preset}_{'compiled' if on else 'plain'}"
            yield {name: {"first_picture_seconds": preparation, **run}}


def memory(scale: Scale) -> Iterator[Found]:
    """The largest sizes that fit into a limit of memory, and the peaks of those."""
    if scale.device.startswith("cuda"):
        total = torch.cuda.get_device_properties(scale.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, scale.limit / total), scale.device)
    for preset in ("default", "paper"):
        vit = _random_frozen(scale, preset)
        tried: dict[int, Found] = {}
        for size in scale.sizes:
            tried[size] = _try(scale, scale.settings(preset, precision="auto", size=size), vit)
            yield {preset: {"limit_bytes": scale.limit, "sizes": tried}}
            if tried[size]["fits"]:
                break


def profile(scale: Scale) -> Iterator[Found]:
    """Tables of the operators that took longest in a step of each kind; and steps of `default`."""
    for preset in ("default", "paper"):
        vit = _random_frozen(scale, preset)
        settings = scale.settings(preset, precision="auto")
        pair = noise(settings)
        made: list[Transfer] = []

        def make(
            settings: Settings = settings,
            pair: Pair = pair,
            vit: FrozenViT = vit,
            made: list[Transfer] = made,
        ) -> Transfer:
            made.append(Transfer(pair[0], pair[1], settings, vit, scale.device))
            return made[0]

        yield {f"{preset}_step": as_data(measure(make, rounds=scale.rounds), {})}
        yield {f"{preset}_table": operators(made[0], 30).splitlines()}


def random_vit(name: str) -> torch.nn.Module:
    """The timm model of a backbone with random weights, none of them 0, without gradients."""
    model = empty(find_backbone(name)).to_empty(device="cpu")
    random = torch.Generator().manual_seed(0)
    for key, weight in model.named_parameters():
        values = torch.randn(weight.shape, generator=random) * 0.02
        scales = weight.ndim == 1 and key.endswith(("weight", "gamma"))
        weight.data = 1 + values if scales else values
    return model.eval().requires_grad_(False)


def noise(settings: Settings) -> Pair:
    """A pair of smooth pictures, three quarters as high as wide, at the size of the settings."""
    assert isinstance(settings.size, int)
    random = torch.Generator().manual_seed(0)
    first, second = (torch.rand(3, 24, 32, generator=random) for _ in range(2))
    return resize_short_side(first, settings.size), resize_short_side(second, settings.size)


def _run(scale: Scale, transfer: Transfer, whole: int) -> Found:
    """Seconds of a run, whose steps beyond the timed ones are reckoned, not made."""
    count = min(scale.steps, transfer.settings.step_count)
    begun = time.perf_counter()
    marks, notes = [], []
    warm = min(TIMED_AFTER, count - 1)
    for step in transfer.steps():
        notes += [step.note] if step.note else []
        if step.step in (1, warm, count):
            synchronise(transfer.device)
            marks.append(time.perf_counter() - begun)
        if step.step == count:
            break
    mean = (marks[-1] - marks[-2]) / max(1, count - warm)
    begun = time.perf_counter()
    transfer.output().cpu()
    return {
        "steps_timed": count,
        "first_step_seconds": marks[0],
        "until_warm_seconds": marks[-2],
        "step_seconds": mean,
        "output_seconds": time.perf_counter() - begun,
        "steps_of_a_whole_run": whole,
        "whole_run_seconds": marks[-1] + mean * max(0, whole - count),
        "whole_run_is": "measured" if whole <= count else f"reckoned from {count} steps",
        "peak_bytes": _peak(scale),
        "notes": notes,
    }


def _try(scale: Scale, settings: Settings, vit: FrozenViT) -> Found:
    """Whether a run of that size fits: its start, a step of each kind, and its picture."""
    from splice.studies.benchmark.steps import kinds_of

    _fresh(scale)
    begun = time.perf_counter()
    notes = []
    try:
        transfer = Transfer(*noise(settings), settings, vit, scale.device)
        spared, steps = transfer.sparing, transfer.steps()
        for kind in kinds_of(transfer):
            transfer.step = kind.steps[0]
            notes.append(next(steps).note)
        transfer.output().cpu()
        fits = {"fits": True, "spared_from_the_start": spared, "notes": list(filter(None, notes))}
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        fits = {"fits": False, "error": str(error)[:200]}
    return {**fits, "peak_bytes": _peak(scale), "seconds": time.perf_counter() - begun}


def _backbone(scale: Scale, preset: str) -> str:
    """As a run has it: the default's where the scale is not tiny."""
    return scale.fine if scale.tiny or preset == "paper" else "dinov2_vits14"


def _random_frozen(scale: Scale, preset: str) -> FrozenViT:
    name = _backbone(scale, preset)
    return FrozenViT(random_vit(name), find_backbone(name)).to(scale.device)


def _fresh(scale: Scale) -> None:
    gc.collect()
    if scale.device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(scale.device)


def _peak(scale: Scale) -> int | None:
    """Of the device's memory since `_fresh`; a CPU has no such count."""
    if not scale.device.startswith("cuda"):
        return None
    return torch.cuda.max_memory_allocated(scale.device)
