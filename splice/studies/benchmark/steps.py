"""Seconds of the steps of a transfer, of their parts, of their floor and of the literal loop.

The steps of a run are not all alike: the output is not seen in the first part of a run, and the
published method takes the entire pair only now and then. Steps that do the same are one kind; one step
of each kind is timed in every round, and means over a run weigh the kinds by how many steps they have.
Variants take turns within a round, so that a busy moment hits them all.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from splice.method.transfer import Transfer
from splice.running.device import describe_device, peak_memory, versions
from splice.studies.benchmark.floor import Floor
from splice.studies.benchmark.literal import ENTIRE_EVERY, PICTURE_EVERY, LiteralLoop
from splice.studies.benchmark.peaks import peak_rate
from splice.studies.benchmark.stopwatch import PARTS, recorded_calls, synchronise, timed_parts


@dataclass(frozen=True)
class Kind:
    """Steps that do the same.

    Attributes:
        name: what they do.
        steps: which steps of the run they are, counted from 0.
    """

    name: str
    steps: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """What was measured; seconds are of a mean step of a run, each kind's median over the rounds.

    Attributes:
        step_seconds: of a whole step.
        floor_seconds: of the same passes through generator and ViT, nothing else.
        literal_seconds: of a step of the literal loop, where it was asked for.
        parts: seconds by part, timed in steps of their own, which wait for the device at each.
        kinds: seconds of step and floor of each kind, with its name and how many steps it has.
        preparation_seconds: once for each run, contained in nothing else.
        operations: floating-point operations of a mean step's passes with gradient, by network.
        peak_share: of the chip's peak that the passes reach, by network; None for an unknown chip.
        peak_memory: bytes, before anything but steps had run.
        rounds: that medians are over.
        load: of the machine before and after, as mean numbers of busy processes.
    """

    step_seconds: float
    floor_seconds: float
    literal_seconds: float | None
    parts: dict[str, float]
    kinds: list[dict[str, Any]]
    preparation_seconds: float
    operations: dict[str, float]
    peak_share: dict[str, float] | None
    peak_memory: dict[str, int]
    precision: str
    output: tuple[int, int]
    rounds: int
    load: tuple[float, float]
    device: dict[str, Any]
    versions: dict[str, str]

    @property
    def over_floor(self) -> float:
        """The whole step in units of its floor."""
        return self.step_seconds / self.floor_seconds


def kinds_of(transfer: Transfer) -> list[Kind]:
    """The kinds of steps in the transfer's run, in the order of their first step."""
    kinds: dict[str, Kind] = {}
    for step in range(transfer.settings.step_count):
        name = transfer.method.kind(step)
        kinds.setdefault(name, Kind(name)).steps.append(step)
    return list(kinds.values())


def measure(
    make: Callable[[], Transfer],
    literal: Callable[[], LiteralLoop] | None = None,
    *,
    rounds: int = 7,
    tell: Callable[[int, int], object] = lambda done, rounds: None,
) -> Measured:
    """Times a transfer's steps.

    Args:
        make: the transfer, from loaded weights.
        literal: the loop to compare with, likewise.
        rounds: of measurements, after one to warm up.
        tell: is given the rounds done and all rounds.
    """
    busy = _load()
    begun = time.perf_counter()
    transfer = make()
    steps = transfer.steps()
    kinds = kinds_of(transfer)
    for kind in kinds:
        _at(transfer, kind, 0, steps)
    preparation = time.perf_counter() - begun
    transfer.picture()
    memory = peak_memory(transfer.device)
    floor, other = Floor(transfer), literal() if literal is not None else None
    loop = _Literal(other, transfer.device) if other is not None else None
    timings = [_Timing() for _ in kinds]
    tell(0, rounds)
    for turn in range(rounds + 1):
        for kind, timing in zip(kinds, timings, strict=True):
            timing.add(_step(transfer, kind, turn, steps, floor), turn > 0)
        if loop is not None:
            loop.round(turn > 0)
        if turn:
            tell(turn, rounds)
    shares = [len(kind.steps) / transfer.settings.step_count for kind in kinds]
    rows = [timing.medians() for timing in timings]
    mean = {name: _weighted(shares, [row[name] for row in rows]) for name in rows[0]}
    operations = _operations(transfer, kinds, shares, steps, floor)
    parts = {name: mean[name] for name in PARTS}
    height, width = transfer.structure.shape[-2:]
    return Measured(
        step_seconds=mean["step"],
        floor_seconds=mean["floor"],
        literal_seconds=loop.mean() if loop is not None else None,
        parts=parts,
        kinds=[
            {
                "name": kind.name,
                "steps": len(kind.steps),
                "step_seconds": row["step"],
                "floor_seconds": row["floor"],
            }
            for kind, row in zip(kinds, rows, strict=True)
        ],
        preparation_seconds=max(0.0, preparation - sum(row["step"] for row in rows)),
        operations=operations,
        peak_share=_share(transfer, operations, parts),
        peak_memory=memory,
        precision=str(transfer.dtype).removeprefix("torch."),
        output=(width, height),
        rounds=rounds,
        load=(busy, _load()),
        device=describe_device(transfer.device),
        versions=versions(),
    )


class _Timing:
    """What was measured of one kind of step."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def add(self, values: dict[str, float], counts: bool) -> None:
        for name, value in values.items() if counts else ():
            self.values.setdefault(name, []).append(value)

    def medians(self) -> dict[str, float]:
        return {name: statistics.median(values) for name, values in self.values.items()}


class _Literal:
    """Times the literal loop: a step, what the entire pair adds, and a progress picture."""

    def __init__(self, loop: LiteralLoop, device: torch.device) -> None:
        self.loop, self.device = loop, device
        self.plain, self.entire, self.picture = ([] for _ in range(3))

    def round(self, counts: bool) -> None:
        entire = ENTIRE_EVERY * (PICTURE_EVERY + 1)
        while entire % PICTURE_EVERY == 0:
            entire += ENTIRE_EVERY
        self._time(lambda: self._step(1), self.plain, counts)  # no entire pair, and no picture
        self._time(lambda: self._step(entire), self.entire, counts)
        self._time(self.loop.eight_bits, self.picture, counts)

    def _step(self, done: int) -> None:
        self.loop.done = done
        self.loop.step()

    def mean(self) -> float:
        plain, entire, picture = map(statistics.median, (self.plain, self.entire, self.picture))
        return plain + (entire - plain) / ENTIRE_EVERY + picture / PICTURE_EVERY

    def _time(self, run: Callable[[], object], into: list[float], counts: bool) -> None:
        seconds = _seconds(run, self.device)
        if counts:
            into.append(seconds)


def _step(
    transfer: Transfer, kind: Kind, turn: int, steps: Iterator[Any], floor: Floor
) -> dict[str, float]:
    """Seconds of one step, of the same step by part, and of its floor."""
    views = transfer.random.get_state()

    def step() -> None:
        transfer.random.set_state(views)  # so that every run of the step sees the same
        _at(transfer, kind, turn, steps)

    with recorded_calls(transfer) as calls:
        step()
    whole = _once(step, transfer.device)
    with timed_parts(transfer) as watch:
        step()
    floors = _seconds(floor.prepare(calls), transfer.device)
    return {"step": whole, "floor": floors, **watch.seconds}


def _at(transfer: Transfer, kind: Kind, turn: int, steps: Iterator[Any]) -> None:
    """Does a step of that kind; turns spread over the run."""
    transfer.step = kind.steps[(turn * 7919) % len(kind.steps)]
    next(steps)


def _operations(
    transfer: Transfer, kinds: list[Kind], shares: list[float], steps: Iterator[Any], floor: Floor
) -> dict[str, float]:
    counts = []
    for kind in kinds:
        with recorded_calls(transfer) as calls:
            _at(transfer, kind, 0, steps)
        counts.append(floor.operations(calls))
    return {
        name: _weighted(shares, [count[name] for count in counts]) for name in ("generator", "vit")
    }


def _share(
    transfer: Transfer, operations: dict[str, float], parts: dict[str, float]
) -> dict[str, float] | None:
    """Of the chip's peak, by network; on a CUDA device alone."""
    if transfer.device.type != "cuda":
        return None
    name = torch.cuda.get_device_properties(transfer.device).name
    tf32 = torch.get_float32_matmul_precision() != "highest"
    peak = peak_rate(name, transfer.dtype, tf32=tf32)
    if peak is None:
        return None
    return {
        network: count / (parts[f"{network}_forward"] + parts[f"{network}_backward"]) / peak
        for network, count in operations.items()
        if count
    }


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    """Of the second of two runs: in a run of the method, too, a step comes after one of its like.

    After something else, memory is where that left it, and the first run pays for getting it back.
    """
    run()
    return _once(run, device)


def _once(run: Callable[[], object], device: torch.device) -> float:
    synchronise(device)
    begun = time.perf_counter()
    run()
    synchronise(device)
    return time.perf_counter() - begun


def _weighted(shares: list[float], values: list[float]) -> float:
    return sum(share * value for share, value in zip(shares, values, strict=True))


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
