"""Scores to be shown beside pictures: each run's own, or those of an evaluation."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splice.analysis.scores.metrics import BETTER
from splice.errors import InputError
from splice.studies.report.runs import RunEntry

OURS = "ours"

LABELS = {
    "self_sim": "self-sim",
    "dino_i": "DINO-I",
    "texture": "texture",
    "colour": "colour",
    "layout": "layout",
    "artefacts": "artefacts",
}
"""The scores as a page calls them."""

MEANINGS = {
    "self_sim": "Error of the self-similarity of deepest keys against the structure image",
    "dino_i": "Cosine of the deepest [CLS] token with the appearance image's",
    "texture": "Distance of [CLS] tokens to the appearance image: 1 as the structure image, 0 as it",
    "colour": "Distance of the colours to those of the appearance image",
    "layout": "Overlap of the foreground with the structure image's",
    "artefacts": "Share of the structure image's detail that is not to be read in the output",
}
"""What each score says, in a line."""


@dataclass(frozen=True)
class Mean:
    """The mean of a score, with its 95 % interval where an evaluation gave one."""

    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Scored:
    """Scores by system and pair.

    Attributes:
        judge: the backbone that gave them; None where each run was scored by its own.
        pairs: by system and by pair, the scores by name; NaN where one is not defined.
        means: by system, those of an evaluation; empty without one.
    """

    judge: str | None
    pairs: Mapping[str, Mapping[str, Mapping[str, float]]]
    means: Mapping[str, Mapping[str, Mean]]

    @staticmethod
    def of_runs(entries: Sequence[RunEntry]) -> "Scored":
        """The scores that each run gave itself."""
        return Scored(None, {OURS: {entry.name: entry.scores for entry in entries}}, {})

    @staticmethod
    def read(path: Path) -> "Scored":
        """The scores that `splice evaluate --json` has written.

        Raises:
            InputError: the file cannot be read, or is none of those.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            systems = data["systems"]
            pairs = {
                system: {pair: _numbers(scores) for pair, scores in found["pairs"].items()}
                for system, found in systems.items()
            }
            means = {
                system: {
                    score: Mean(value["mean"], value["low"], value["high"])
                    if value["mean"] is not None
                    else Mean(math.nan)
                    for score, value in found["scores"].items()
                }
                for system, found in systems.items()
            }
            ours = data["ours"]
            pairs[OURS] = pairs.pop(ours, {})
            means[OURS] = means.pop(ours, {})
            return Scored(str(data["judge"]), pairs, means)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} holds no scores; give a file that 'splice evaluate --json' has written."
            ) from error

    def values(self, system: str, pair: str) -> Mapping[str, float]:
        """The scores of one picture; empty where there are none."""
        return self.pairs.get(system, {}).get(pair, {})

    def summary(self, systems: Sequence[str]) -> list[tuple[str, dict[str, Mean]]]:
        """Means of these systems, then of any others of the evaluation (the copies)."""
        names = [s for s in systems if s in self.pairs] + [
            s for s in self.means if s not in systems
        ]
        rows = [(system, dict(self.means.get(system) or self._means(system))) for system in names]
        return [(system, means) for system, means in rows if means]

    def _means(self, system: str) -> dict[str, Mean]:
        found: dict[str, Mean] = {}
        for score in BETTER:
            values = [scores[score] for scores in self.pairs[system].values() if score in scores]
            defined = [value for value in values if math.isfinite(value)]
            if values:
                found[score] = Mean(math.fsum(defined) / len(defined) if defined else math.nan)
        return found


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in scores.items()}
