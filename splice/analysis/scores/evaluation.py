"""Whole folders of outputs scored, and what can be said about their differences.

Our outputs, any other system's and two trivial baselines (a copy of the structure image, a copy of
the appearance image) are scored on the same pairs by one judging backbone. Every mean comes with a
bootstrap interval over the pairs, and every comparison is paired.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from splice.analysis.scores.metrics import BETTER, Judge, Scores
from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.pictures.images import check_picture, read_image
from splice.pictures.pairs import Pair

OURS = "ours"
COPY_OF_STRUCTURE = "copy of structure"
COPY_OF_APPEARANCE = "copy of appearance"
BASELINES = (COPY_OF_STRUCTURE, COPY_OF_APPEARANCE)

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class Interval:
    """A mean over pairs and the 95 % bootstrap interval around it.

    `count` is how many pairs entered: those whose score is a number. The rest is NaN if none did.
    """

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Comparison:
    """One system against another on the same pairs, by one score.

    `difference` is the first system's score minus the second's. A win is a pair on which the first
    is strictly better, whichever direction is the better one for that score.
    """

    difference: Interval
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Evaluation:
    """The scores of several systems on one list of pairs.

    Attributes:
        judge: the name of the judging backbone.
        scores: by system (the baselines last) and by pair, as far as pictures were there.
        missing: by system, the pairs for which it has no picture.
        ours: the system that the others are compared with, if any.
    """

    judge: str
    scores: Mapping[str, Mapping[str, Scores]]
    missing: Mapping[str, tuple[str, ...]]
    ours: str | None = None

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems in the order of the tables."""
        return tuple(self.scores)

    @property
    def common(self) -> tuple[str, ...]:
        """The pairs for which every system has a picture: those that the tables are about."""
        first, *others = self.scores.values()
        return tuple(pair for pair in first if all(pair in other for other in others))

    def values(self, system: str, score: str) -> list[float]:
        """One score of one system on the common pairs, in their order."""
        return [getattr(self.scores[system][pair], score) for pair in self.common]

    def interval(self, system: str, score: str) -> Interval:
        """The mean of one score of one system over the common pairs."""
        return bootstrap(self.values(system, score))

    def comparison(self, first: str, second: str, score: str) -> Comparison:
        """Compare two systems by one score, pair by pair, over the common pairs."""
        return compare(
            self.values(first, score), self.values(second, score), BETTER[score] == "lower"
        )

    def select(self, pairs: Iterable[str]) -> "Evaluation":
        """The same evaluation over some of its pairs; systems without any of them are left out."""
        chosen = set(pairs)
        scores = {
            system: {pair: scores for pair, scores in of_system.items() if pair in chosen}
            for system, of_system in self.scores.items()
        }
        scores = {system: of_system for system, of_system in scores.items() if of_system}
        missing = {
            system: tuple(pair for pair in self.missing[system] if pair in chosen)
            for system in scores
        }
        return Evaluation(self.judge, scores, missing, self.ours if self.ours in scores else None)


def bootstrap(
    values: Sequence[float], *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Compute a mean and its percentile bootstrap interval.

    The values are drawn with replacement `resamples` times; the interval holds the middle `level`
    of the means. Values that are not finite are left out and not counted. The same seed gives the
    same interval. Below about ten values the interval is too narrow to be taken at its word.
    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    finite = torch.tensor([v for v in values if math.isfinite(v)], dtype=torch.float64)
    count = len(finite)
    if count == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(count, (resamples, count), generator=generator)
    tail = (1 - level) / 2
    ends = torch.tensor([tail, 1 - tail], dtype=torch.float64)
    low, high = finite[draws].mean(dim=1).quantile(ends).tolist()
    return Interval(finite.mean().item(), low, high, count)


def compare(first: Sequence[float], second: Sequence[float], lower_is_better: bool) -> Comparison:
    """Compare two systems' values on the same pairs in the same order; see `Comparison`."""
    differences = [a - b for a, b in zip(first, second, strict=True)]
    below = sum(d < 0 for d in differences)
    above = sum(d > 0 for d in differences)
    wins, losses = (below, above) if lower_is_better else (above, below)
    ties = sum(d == 0 for d in differences)
    return Comparison(bootstrap(differences), wins, ties, losses)


def find_outputs(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Find the pictures that a system made of some pairs.

    For each name, `NAME/output.png` (what a run leaves) is looked for first, then `NAME.png`,
    `NAME.jpg` and the other usual suffixes. Pairs without any are left out.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name one that holds pictures to score.")
    found: dict[str, Path] = {}
    for name in names:
        candidates = [folder / name / "output.png"]
        candidates += [folder / f"{name}{suffix}" for suffix in _SUFFIXES]
        candidates += [folder / f"{name}{suffix.upper()}" for suffix in _SUFFIXES]
        chosen = next((path for path in candidates if path.is_file()), None)
        if chosen is not None:
            found[name] = chosen
    return found


def parse_against(text: str, taken: Sequence[str] = (OURS, *BASELINES)) -> tuple[str, Path]:
    """Split `NAME=DIR`, the form in which another system is named; `~` is the home folder.

    Args:
        text: as given.
        taken: names that it cannot have.

    Raises:
        InputError: the text is not of that form, or the name is taken.
    """
    name, sign, folder = text.partition("=")
    if not (name and sign and folder):
        raise InputError(f"{text!r} names no system to compare with; write NAME=DIR.")
    if name in taken:
        raise InputError(f"{text!r}: {name!r} is one of the table's own rows; name it otherwise.")
    return name, Path(folder).expanduser()


def evaluate_folders(
    vit: FrozenViT,
    pairs: Sequence[Pair],
    outputs: Path,
    against: Mapping[str, Path] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score a folder of our outputs, and other systems' folders by name; see `evaluate`.

    Raises:
        InputError: a folder is missing, or holds a picture for none of the pairs.
    """
    names = [pair.name for pair in pairs]
    systems = {
        system: find_outputs(folder, names)
        for system, folder in {OURS: outputs, **(against or {})}.items()
    }
    for system, folder in {OURS: outputs, **(against or {})}.items():
        if not systems[system]:
            example = names[0] if names else "PAIR"
            raise InputError(
                f"{folder} holds a picture for none of the {len(names)} pairs; their names would "
                f"be like {example}.png, {example}.jpg or {example}/output.png."
            )
    return evaluate(vit, pairs, systems, ours=OURS, progress=progress)


def evaluate(
    vit: FrozenViT,
    pairs: Sequence[Pair],
    systems: Mapping[str, Mapping[str, Path]],
    *,
    ours: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score pictures of several systems and the two baselines.

    Args:
        vit: the judging backbone.
        pairs: the pairs, with distinct names. One for which no system has a picture is not read.
        systems: by system and by pair's name, the picture to score.
        ours: the system that the others are to be compared with.
        progress: called with the number of pairs done and of all to do, after each.

    Raises:
        InputError: two pairs share a name, a picture cannot be read, or there is no pair for which
            all systems have a picture.
    """
    names = [pair.name for pair in pairs]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"two pairs are named {name!r}; give each its own name.")
    missing = {
        system: tuple(name for name in names if name not in pictures)
        for system, pictures in systems.items()
    }
    if not any(all(name in pictures for pictures in systems.values()) for name in names):
        have = ", ".join(f"{s} {len(names) - len(absent)}" for s, absent in missing.items())
        raise InputError(
            f"no pair has a picture of every system, so they cannot be compared "
            f"(of {len(names)} pairs: {have})."
        )
    wanted = [pair for pair in pairs if any(pair.name in found for found in systems.values())]
    for pair in wanted:
        for path in (pair.structure, pair.appearance):
            check_picture(path)
    for pictures in systems.values():
        for path in pictures.values():
            check_picture(path)
    scores: dict[str, dict[str, Scores]] = {system: {} for system in (*systems, *BASELINES)}
    for done, pair in enumerate(wanted, start=1):
        structure, appearance = read_image(pair.structure), read_image(pair.appearance)
        judge = Judge(vit, structure, appearance)
        for system, pictures in systems.items():
            if pair.name in pictures:
                scores[system][pair.name] = judge(read_image(pictures[pair.name]))
        scores[COPY_OF_STRUCTURE][pair.name] = judge(structure)
        scores[COPY_OF_APPEARANCE][pair.name] = judge(appearance)
        if progress is not None:
            progress(done, len(wanted))
    return Evaluation(vit.backbone.name, scores, missing | dict.fromkeys(BASELINES, ()), ours)
