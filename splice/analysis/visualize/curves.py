"""Losses over the steps of a run, as a figure."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class Curves(Figure):
    """A matplotlib figure that displays itself in a notebook without pyplot's global state."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def loss_curves(
    losses: Mapping[str, Sequence[float]],
    *,
    steps: Sequence[int] | None = None,
    title: str = "",
    label: str = "loss",
) -> Curves:
    """Draws each series over the steps, on a logarithmic axis where every value is positive.

    Series with many points are drawn faintly, with their running mean over a fiftieth of the run
    on top: the noise of single steps would hide where the loss is going. Values that are not
    finite leave a hole.

    Args:
        losses: values of each step, by the name for the legend.
        steps: the step of each value; by default 1, 2, 3, …
        title: above the axes.
        label: of the vertical axis.

    Raises:
        ValueError: a series that is longer than `steps`.
    """
    figure = Curves(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    drawn: list[np.ndarray] = []
    for index, (name, series) in enumerate(losses.items()):
        values = np.asarray(series, dtype=float)
        values = np.where(np.isfinite(values), values, np.nan)
        at = np.arange(1, len(values) + 1) if steps is None else np.asarray(steps)[: len(values)]
        if len(at) != len(values):
            raise ValueError(f"{name}: {len(values)} values at {len(at)} steps")
        colour = f"C{index % 10}"
        window = max(1, len(values) // 50)
        if window > 1:
            axes.plot(at, values, color=colour, alpha=0.25, linewidth=0.7)
        marker = "o" if len(values) == 1 else None
        axes.plot(at, _running_mean(values, window), color=colour, label=name, marker=marker)
        drawn.append(values[np.isfinite(values)])
    present = np.concatenate(drawn) if drawn else np.empty(0)
    if present.size and present.min() > 0:
        axes.set_yscale("log")
    axes.set(xlabel="step", ylabel=label, title=title)
    axes.grid(alpha=0.3)
    if losses:
        axes.legend(fontsize="small", ncols=1 + len(losses) // 9)
    return figure


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last `window` finite values at each place, of fewer at the start."""
    finite = np.isfinite(values)
    total = np.cumsum(np.where(finite, values, 0.0))
    count = np.cumsum(finite)
    total[window:] -= total[:-window].copy()
    count[window:] -= count[:-window].copy()
    return np.where(finite, total / np.maximum(count, 1), np.nan)
