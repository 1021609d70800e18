r"""Seconds until a run reaches given scores: our default beside the paper's loop, in one process.

    python benchmarks/time_to_quality.py STRUCTURE APPEARANCE --target PUBLISHED.jpg --json FILE

The levels are the scores of a published picture (`--target`), or numbers (`--levels self_sim=0.002
texture=0.3`). The contestants are the default preset, once for each of `--steps` (its schedules follow
the number of steps), and the literal loop with calibrated weights
(`splice/studies/benchmark/literal.py`).
They take turns, always the one that has used least time, so that a busy moment hits them all. The
clock of a contestant runs while it prepares and steps, not while its picture is painted and scored,
nor while backbones are loaded. On a CPU that others keep busy, `--clock process` with one thread counts
the processor's seconds instead of those on the wall.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from command import run_command
from race import Contestant, Loop, race, table
from torch import Tensor

from splice.analysis.scores.metrics import Judge
from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import find_backbone
from splice.backbones.weights import as_timm, load_vit
from splice.errors import InputError
from splice.method.settings import Settings
from splice.method.transfer import Transfer
from splice.pictures.images import read_image, write_atomically, write_image
from splice.running.device import describe_device, find_device, versions
from splice.running.inputs import choose_size, read_at_most
from splice.running.presets import load_preset
from splice.studies.benchmark.literal import LiteralLoop

SCORES = ("self_sim", "dino_i", "texture", "colour")
CLOCKS = {"wall": time.perf_counter, "process": time.process_time}


@dataclass(frozen=True)
class Options:
    """Seconds until a run reaches given scores: our default beside the paper's loop."""

    structure: tyro.conf.Positional[Path]
    """File of the structure image."""
    appearance: tyro.conf.Positional[Path]
    """File of the appearance image."""
    target: Path | None = None
    """Picture whose scores are the levels to reach."""
    levels: tuple[str, ...] = ()
    """Levels as SCORE=NUMBER, instead of those of the target or beside them."""
    preset: str = "default"
    """Preset of our contestants."""
    steps: tuple[int, ...] = ()
    """Lengths of our runs, one contestant each; the preset's by default."""
    limit_seconds: float = 1800.0
    """Most seconds of each contestant's clock."""
    every: float = 0.03
    """Share of a contestant's clock between two scorings; a second at the least."""
    clock: Literal["wall", "process"] = "wall"
    """What a clock counts: seconds on the wall, or of all threads on the processor."""
    size: int = 256
    """Short side of the pictures."""
    seed: int = 0
    """Of all contestants."""
    device: str = "auto"
    """Device to run on."""
    judge: str | None = None
    """Backbone that scores; by default that of the preset."""
    save: Path | None = None
    """Folder for the last picture of each contestant."""
    json: Path | None = None
    """File for all numbers."""


class _Ours:
    def __init__(self, transfer: Transfer) -> None:
        self.transfer, self.steps = transfer, transfer.steps()

    def step(self) -> bool:
        return next(self.steps, None) is not None

    def picture(self) -> Tensor:
        return self.transfer.output()


class _Theirs:
    def __init__(self, loop: LiteralLoop) -> None:
        self.loop = loop

    def step(self) -> bool:
        self.loop.step()
        return True

    def picture(self) -> Tensor:
        return self.loop.picture()


def main(options: Options) -> None:
    """Run the race and print the table."""
    settings = load_preset(
        options.preset, {"size": options.size, "seed": options.seed, "device": options.device}
    )
    device = find_device(settings.device)
    size = choose_size(options.structure, settings, device)
    structure, appearance = (
        read_at_most(file, size).to(device) for file in (options.structure, options.appearance)
    )
    backbone = find_backbone(settings.backbone)
    weights = Path(settings.weights).expanduser() if settings.weights else None
    plain, provenance = load_vit(backbone, weights)
    plain = plain.to(device)
    vit = FrozenViT(plain, backbone, provenance).to(device)
    judging = vit if options.judge is None else FrozenViT.load(options.judge, device=device)
    scoring = Judge(judging, structure, appearance)

    def judge(picture: Tensor) -> dict[str, float]:
        found = asdict(scoring(picture.float()))
        return {name: found[name] for name in SCORES}

    levels = read_levels(options.levels, options.target, judge)

    def ours(steps: int) -> Callable[[], Loop]:
        chosen = settings.model_copy(update={"steps": steps})
        return lambda: _Ours(Transfer(structure, appearance, chosen, vit, device))

    def theirs() -> Loop:
        model = as_timm(backbone, plain)
        loop = LiteralLoop(
            structure, appearance, model, backbone, seed=settings.seed, calibrated=True
        )
        return _Theirs(loop)

    lengths = options.steps or (settings.settled(*structure.shape[-2:]).step_count,)
    contestants = [Contestant(f"{Path(options.preset).stem}, {n} steps", ours(n)) for n in lengths]
    contestants.append(Contestant("literal, calibrated", theirs))
    race(
        contestants,
        judge,
        levels,
        limit=options.limit_seconds,
        every=options.every,
        device=device,
        now=CLOCKS[options.clock],
        tell=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(table(contestants, levels))
    if options.save is not None:
        options.save.mkdir(parents=True, exist_ok=True)
        for each in contestants:
            if each.loop is not None:
                file = options.save / f"{each.name.replace(', ', '-').replace(' ', '-')}.png"
                write_image(file, each.loop.picture().float().cpu())
    if options.json is not None:
        data = as_data(options, settings, contestants, levels, device)
        text = json.dumps(data, indent=2)
        write_atomically(options.json, lambda stream: stream.write(f"{text}\n".encode()))


def read_levels(
    texts: tuple[str, ...],
    target: Path | None,
    judge: Callable[[Tensor], Mapping[str, float]],
) -> dict[str, float]:
    """The levels to reach: the scores of the target, replaced or joined by single numbers.

    Raises:
        InputError: neither is given, or a level is no SCORE=NUMBER.
    """
    levels = dict(judge(read_image(target))) if target is not None else {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            levels[name] = float(value)
        except ValueError:
            levels.pop(name, None)
        if name not in SCORES or name not in levels:
            raise InputError(
                f"--levels {text}: it should be SCORE=NUMBER with a score of {', '.join(SCORES)}."
            )
    if not levels:
        raise InputError("no level to reach is given; give --target FILE or --levels SCORE=NUMBER.")
    return {name: levels[name] for name in SCORES if name in levels}


def as_data(
    options: Options,
    settings: Settings,
    contestants: list[Contestant],
    levels: Mapping[str, float],
    device: torch.device,
) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "structure": str(options.structure),
        "appearance": str(options.appearance),
        "target": None if options.target is None else str(options.target),
        "levels": dict(levels),
        "clock": options.clock,
        "limit_seconds": options.limit_seconds,
        "contestants": [
            {
                "name": each.name,
                "seconds": each.seconds,
                "steps": each.steps,
                "reached": {
                    name: {"seconds": seconds, "step": step}
                    for name, (seconds, step) in each.reached.items()
                },
                "best": each.best,
                "curve": each.curve,
            }
            for each in contestants
        ],
        "settings": settings.model_dump(mode="json"),
        "device": describe_device(device),
        "versions": versions(),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    run_command(main, Options)
