"""What was measured, as text for a terminal and as data for a file, and a table of operators."""

from dataclasses import asdict
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from splice.method.transfer import Transfer
from splice.studies.benchmark.steps import Measured, kinds_of
from splice.studies.benchmark.stopwatch import PARTS

NETWORKS = {"generator": "generator", "vit": "ViT"}


def as_text(found: Measured) -> str:
    """A table of milliseconds, then the ratios and the memory."""
    rows = [(PARTS[name], _ms(value), _share(value, found)) for name, value in found.parts.items()]
    rows.append(("whole step", _ms(found.step_seconds), ""))
    rows.append(("floor: generator and ViT alone", _ms(found.floor_seconds), ""))
    rows.append(("step / floor", f"{found.over_floor:.2f}", ""))
    if found.literal_seconds is not None:
        ratio = found.literal_seconds / found.step_seconds
        rows.append(("literal step", _ms(found.literal_seconds), ""))
        rows.append(("literal / step", f"{ratio:.2f}", ""))
    rows.append(("once for a run: preparation", _ms(found.preparation_seconds), ""))
    width = max(len(row[0]) for row in rows)
    lines = [f"{name:<{width}} {value:>12} {share:>6}".rstrip() for name, value, share in rows]
    for name, count in found.operations.items():
        seconds = found.parts[f"{name}_forward"] + found.parts[f"{name}_backward"]
        if count and seconds:
            lines.append(
                f"{NETWORKS[name]}: {count / 1e9:.3g} GFLOP a step, {count / seconds / 1e9:,.0f} "
                f"GFLOP/s{_of_peak(found, name)}"
            )
    peak = ", ".join(f"{name} {b / 1e9:.2f} GB" for name, b in _memory(found).items())
    lines.append(f"peak memory: {peak}")
    return "\n".join(lines)


def heading(found: Measured, backbone: str, preset: str) -> str:
    """What was measured where, in one line."""
    width, height = found.output
    device = found.device
    count = device.get("threads")
    threads = f", {count} thread{'s' if count > 1 else ''}" if count else ""
    return (
        f"{preset}, {backbone}, {width} x {height} px, {found.precision}, {device['name']}{threads}; "
        f"medians of {found.rounds} rounds, mean over the steps of a run"
    )


def as_data(found: Measured, settings: dict[str, Any]) -> dict[str, Any]:
    """Everything, for JSON."""
    data = asdict(found)
    data["step_over_floor"] = found.over_floor
    if found.literal_seconds is not None:
        data["literal_over_step"] = found.literal_seconds / found.step_seconds
    return data | {"settings": settings}


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"


def _share(seconds: float, found: Measured) -> str:
    return f"{100 * seconds / sum(found.parts.values()):.0f} %"


def _memory(found: Measured) -> dict[str, int]:
    names = {"process_bytes": "process", "device_bytes": "device"}
    return {names[name]: value for name, value in found.peak_memory.items()}


def _of_peak(found: Measured, network: str) -> str:
    if found.peak_share is not None:
        return f", {100 * found.peak_share[network]:.0f} % of the chip's peak"
    if found.device["type"].startswith("cuda"):
        return "; the peak of this chip is not known"
    return ""


def operators(transfer: Transfer, rows: int) -> str:
    """A table of the operators that took longest in one step of each kind, by their own time.

    Args:
        transfer: with what is found once for its pair.
        rows: of the table, at most.
    """
    steps = transfer.steps()
    cuda = transfer.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    with profile(activities=activities) as watched:
        for kind in kinds_of(transfer):
            transfer.step = kind.steps[0]
            next(steps)
        if cuda:
            torch.cuda.synchronize(transfer.device)
    order = f"self_{'device' if cuda else 'cpu'}_time_total"
    return watched.key_averages().table(
        sort_by=order, row_limit=rows, max_name_column_width=50, top_level_events_only=False
    )
