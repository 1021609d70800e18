r"""Seconds until a run reaches given scores: our default beside the paper's loop, in one process.

    python benchmarks/time_to_quality.py STRUCTURE APPEARANCE --target PUBLISHED.jpg --json FILE

The levels are the scores of a published picture (`--target`), or numbers (`--levels self_sim=0.002
texture=0.3`). The contestants are the default preset, once for each of `--steps` (its schedules follow
the number of steps), and the literal loop with calibrated weights (`splice/benchmark/literal.py`).
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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
import tyro
from command import run_command
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import find_backbone
from splice.backbones.weights import as_timm, load_vit
from splice.benchmark.literal import LiteralLoop
from splice.benchmark.stopwatch import synchronise
from splice.errors import InputError
from splice.method.settings import Settings
from splice.method.transfer import Transfer
from splice.pictures.images import read_image, write_atomically, write_image
from splice.running.device import describe_device, find_device, versions
from splice.running.inputs import choose_size, read_at_most
from splice.running.presets import load_preset
from splice.scores.metrics import BETTER, Judge

SCORES = ("self_sim", "dino_i", "texture", "colour")
ALL = "all at once"
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


class Loop(Protocol):
    """What a contestant runs."""

    def step(self) -> bool:
        """Does one step; false when no step is left."""
        ...

    def picture(self) -> Tensor:
        """The picture so far, 3 x height x width in [0, 1]."""
        ...


@dataclass
class Contestant:
    """A loop with its clock.

    Attributes:
        name: for tables.
        prepare: makes the loop, within the clock.
        seconds: on the clock.
        steps: done.
        reached: each level, and all of them at once, with the seconds and steps that it took.
        best: of each score so far.
        curve: seconds, steps and scores at every scoring.
    """

    name: str
    prepare: Callable[[], Loop]
    seconds: float = 0.0
    steps: int = 0
    reached: dict[str, tuple[float, int]] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    loop: Loop | None = None
    over: bool = False
    due: float = 0.0

    def turn(self, device: torch.device, now: Callable[[], float]) -> None:
        """Prepares at the first turn, then does one step, on the clock."""
        synchronise(device)
        begun = now()
        if self.loop is None:
            self.loop = self.prepare()
        elif self.loop.step():
            self.steps += 1
        else:
            self.over = True
        synchronise(device)
        self.seconds += now() - begun

    def judged(self, scores: Mapping[str, float], levels: Mapping[str, float]) -> None:
        """Notes scores of the picture so far, and which levels they reach for the first time."""
        self.curve.append({"seconds": self.seconds, "steps": self.steps, **scores})
        for name, value in scores.items():
            if name not in self.best or reaches(name, value, self.best[name]):
                self.best[name] = value
        met = [name for name, level in levels.items() if reaches(name, scores[name], level)]
        for name in [*met, *([ALL] if len(met) == len(levels) else [])]:
            self.reached.setdefault(name, (self.seconds, self.steps))


def reaches(score: str, value: float, level: float) -> bool:
    """Whether a value of that score is as good as the level."""
    return value <= level if BETTER[score] == "lower" else value >= level


def race(
    contestants: list[Contestant],
    judge: Callable[[Tensor], Mapping[str, float]],
    levels: Mapping[str, float],
    *,
    limit: float,
    every: float,
    device: torch.device,
    now: Callable[[], float] = time.perf_counter,
    tell: Callable[[str], object] = lambda text: None,
) -> None:
    """Lets contestants run in turns until each has reached all levels at once, or is out of time.

    Args:
        contestants: with their clocks at zero.
        judge: scores of a picture.
        levels: to reach, by score.
        limit: seconds of each clock.
        every: share of the clock between two scorings.
        device: to wait for.
        now: reads the clock.
        tell: is given a line on each scoring.
    """
    while running := [each for each in contestants if not each.over]:
        one = min(running, key=lambda each: each.seconds)
        one.turn(device, now)
        one.over = one.over or one.seconds >= limit
        # Before a first step there is nothing to score, unless there is none to come.
        if one.loop is None or not (one.over or (one.steps and one.seconds >= one.due)):
            continue
        scores = judge(one.loop.picture())
        one.judged(scores, levels)
        one.over = one.over or ALL in one.reached
        one.due = max(one.seconds + 1, one.seconds * (1 + every))
        listed = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        tell(f"{one.name}: {one.seconds:.1f} s, step {one.steps}: {listed}")


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

    lengths = options.steps or (settings.steps,)
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


def table(contestants: list[Contestant], levels: Mapping[str, float]) -> str:
    """Markdown: a row for each level, and for all at once, with each contestant's seconds."""
    names = [each.name for each in contestants]
    rows = [["level", *names], ["---", *("---:" for _ in names)]]
    for name in (*levels, ALL):
        level = (
            "" if name == ALL else f" {'≤' if BETTER[name] == 'lower' else '≥'} {levels[name]:.4g}"
        )
        rows.append([f"{name}{level}", *(_cell(each, name) for each in contestants)])
    clocks = (f"{each.seconds:,.0f} s, {each.steps:,} steps" for each in contestants)
    rows.append(["on the clock", *clocks])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(contestant: Contestant, name: str) -> str:
    if name in contestant.reached:
        seconds, steps = contestant.reached[name]
        return f"{seconds:,.1f} s (step {steps:,})"
    if name in contestant.best:
        return f"not reached; best {contestant.best[name]:.4g}"
    return "not reached"


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
