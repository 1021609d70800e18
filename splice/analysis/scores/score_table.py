"""An evaluation as text, Markdown, CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from splice.analysis.scores.evaluation import Comparison, Evaluation, Interval
from splice.analysis.scores.metrics import BETTER, SHORT_SIDE
from splice.pictures.images import write_atomically

DECIMALS = {"self_sim": 4, "dino_i": 3, "texture": 3, "colour": 4, "layout": 3, "artefacts": 3}
"""Places after the point with which each score is shown."""
NOT_DEFINED = "not defined"
"""What stands for a score that is not a number: `texture` where both pictures look the same."""

_ARROWS = {"lower": "↓", "higher": "↑"}


def format_text(evaluation: Evaluation) -> str:
    """Lay an evaluation out for a terminal: means over their intervals, then paired differences."""
    parts = [_caption(evaluation)]
    rows = [["", *_headings()]]
    for system in evaluation.systems:
        intervals = _intervals(evaluation, system)
        rows.append([system, *(_mean(score, i) for score, i in intervals.items())])
        rows.append(["", *(_range(score, i) for score, i in intervals.items())])
    parts.append(_columns(rows))
    rivals = _rivals(evaluation)
    if rivals:
        rows = [[f"{evaluation.ours} minus", *_headings()]]
        for rival in rivals:
            compared = _comparisons(evaluation, rival)
            rows.append(
                [rival, *(f"{_mean(s, c.difference, '+')} {_record(c)}" for s, c in compared)]
            )
            rows.append(["", *(_range(s, c.difference, "+") for s, c in compared)])
        parts.append("Mean paired difference, wins-ties-losses, [95 % interval]:")
        parts.append(_columns(rows))
    parts += _notes(evaluation)
    return "\n\n".join(parts) + "\n"


def format_markdown(evaluation: Evaluation) -> str:
    """Lay an evaluation out as Markdown tables, for a document."""
    parts = [_caption(evaluation)]
    rows = [["system", *_headings()]]
    for system in evaluation.systems:
        intervals = _intervals(evaluation, system)
        rows.append(
            [system, *(f"{_mean(s, i)} {_range(s, i)}".rstrip() for s, i in intervals.items())]
        )
    parts.append(_markdown(rows))
    rivals = _rivals(evaluation)
    if rivals:
        rows = [[f"{evaluation.ours} minus", *_headings()]]
        for rival in rivals:
            cells = [
                f"{_mean(s, c.difference, '+')} {_record(c)} {_range(s, c.difference, '+')}".rstrip()
                for s, c in _comparisons(evaluation, rival)
            ]
            rows.append([rival, *cells])
        parts.append("Mean paired difference, wins-ties-losses, [95 % interval]:")
        parts.append(_markdown(rows))
    parts += _notes(evaluation)
    return "\n\n".join(parts) + "\n"


def as_data(evaluation: Evaluation) -> dict[str, Any]:
    """Lay an evaluation out as plain data for JSON; a score that is not a number becomes None."""
    systems: dict[str, Any] = {}
    for system in evaluation.systems:
        systems[system] = {
            "scores": {s: _plain(asdict(i)) for s, i in _intervals(evaluation, system).items()},
            "missing": list(evaluation.missing[system]),
            "pairs": {p: _plain(asdict(s)) for p, s in evaluation.scores[system].items()},
        }
        if system in _rivals(evaluation):
            assert evaluation.ours is not None
            systems[system]["ours_minus_this"] = {
                score: _plain(asdict(evaluation.comparison(evaluation.ours, system, score)))
                for score in BETTER
            }
    return {
        "judge": evaluation.judge,
        "short_side": SHORT_SIDE,
        "better": dict(BETTER),
        "ours": evaluation.ours,
        "common_pairs": list(evaluation.common),
        "systems": systems,
    }


def write_json(path: str | Path, evaluation: Evaluation) -> None:
    """Write `as_data` to a file, whole or not at all.

    Raises:
        InputError: the place cannot take the file.
        RunError: writing failed.
    """
    text = json.dumps(as_data(evaluation), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, lambda file: file.write(f"{text}\n".encode()))


def write_csv(path: str | Path, evaluation: Evaluation) -> None:
    """Write one row per system, whole or not at all: mean and interval of each score.

    The columns are `system`, `judge`, `pairs` (how many were common) and `missing` (how many the
    system lacks), then for each score `SCORE`, `SCORE_low`, `SCORE_high`, and, for the first system
    against this one, `SCORE_difference`, its `_low` and `_high`, `SCORE_wins`, `_ties`, `_losses`.
    What does not apply or is not a number is left empty.

    Raises:
        InputError: the place cannot take the file.
        RunError: writing failed.
    """
    rows = list(_csv_rows(evaluation))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=_csv_columns(), restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def _csv_columns() -> list[str]:
    columns = ["system", "judge", "pairs", "missing"]
    for score in BETTER:
        columns += [score, f"{score}_low", f"{score}_high"]
    for score in BETTER:
        difference = f"{score}_difference"
        columns += [difference, f"{difference}_low", f"{difference}_high"]
        columns += [f"{score}_wins", f"{score}_ties", f"{score}_losses"]
    return columns


def _csv_rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    for system in evaluation.systems:
        row: dict[str, Any] = {
            "system": system,
            "judge": evaluation.judge,
            "pairs": len(evaluation.common),
            "missing": len(evaluation.missing[system]),
        }
        for score, interval in _intervals(evaluation, system).items():
            row |= _cells(score, interval)
            if evaluation.ours is not None and system in _rivals(evaluation):
                against = evaluation.comparison(evaluation.ours, system, score)
                row |= _cells(f"{score}_difference", against.difference)
                row[f"{score}_wins"] = against.wins
                row[f"{score}_ties"] = against.ties
                row[f"{score}_losses"] = against.losses
        yield row


def _cells(name: str, interval: Interval) -> dict[str, float | None]:
    return _plain({name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high})


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Replace numbers that JSON does not know by None, also one level down."""
    plain: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            plain[key] = _plain(value)
        else:
            plain[key] = None if isinstance(value, float) and not math.isfinite(value) else value
    return plain


def _intervals(evaluation: Evaluation, system: str) -> dict[str, Interval]:
    return {score: evaluation.interval(system, score) for score in BETTER}


def _rivals(evaluation: Evaluation) -> list[str]:
    if evaluation.ours is None:
        return []
    return [system for system in evaluation.systems if system != evaluation.ours]


def _caption(evaluation: Evaluation) -> str:
    count = len(evaluation.common)
    return (
        f"Judge: {evaluation.judge}, short side {SHORT_SIDE} px. "
        f"Mean [95 % bootstrap interval] over {count} common pair{'' if count == 1 else 's'}."
    )


def _notes(evaluation: Evaluation) -> list[str]:
    notes = []
    for system, pairs in evaluation.missing.items():
        if pairs:
            listed = ", ".join(pairs[:12]) + (", …" if len(pairs) > 12 else "")
            notes.append(
                f"No picture by {system} for {len(pairs)} of the pairs, which are left out "
                f"of every row: {listed}"
            )
    for score in BETTER:
        counted = min(evaluation.interval(s, score).count for s in evaluation.systems)
        if counted < len(evaluation.common):
            notes.append(f"{score} is a number for {counted} of the pairs only.")
    return notes


def _headings() -> list[str]:
    return [f"{score} {_ARROWS[better]}" for score, better in BETTER.items()]


def score_text(score: str, value: float, sign: str = "") -> str:
    """A score as it is shown: with the places of `DECIMALS`, or in words where it is not a number.

    Args:
        score: its name.
        value: of it, or of a difference.
        sign: "+" to show that of positive values as well.
    """
    return f"{value:{sign}.{DECIMALS[score]}f}" if math.isfinite(value) else NOT_DEFINED


def _mean(score: str, interval: Interval, sign: str = "") -> str:
    return score_text(score, interval.mean, sign)


def _range(score: str, interval: Interval, sign: str = "") -> str:
    if not math.isfinite(interval.mean):
        return ""
    return f"[{score_text(score, interval.low, sign)}, {score_text(score, interval.high, sign)}]"


def _comparisons(evaluation: Evaluation, rival: str) -> list[tuple[str, Comparison]]:
    assert evaluation.ours is not None
    return [(score, evaluation.comparison(evaluation.ours, rival, score)) for score in BETTER]


def _record(comparison: Comparison) -> str:
    return f"{comparison.wins}-{comparison.ties}-{comparison.losses}"


def _columns(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def _markdown(rows: list[list[str]]) -> str:
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    rule = f"|---{'|---:' * (len(rows[0]) - 1)}|"
    return "\n".join([head, rule, *body])
