"""Which picture of a set goes with which: at random from a seed, or by nearest embeddings."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from splice.errors import InputError

Embed = Callable[[Sequence[Path]], np.ndarray]
"""Pictures to embeddings [pictures, width], for instance their deepest [CLS] tokens."""


def random_pairing(
    structures: Sequence[Path], appearances: Sequence[Path], seed: int
) -> Iterator[list[tuple[Path, Path]]]:
    """Rounds of random pairs: in each, every picture is structure once; no pair comes twice.

    Both lists are shuffled and laid against each other at a shift that is new in each round, so
    that appearances are used evenly as well. The same seed gives the same pairs on every
    machine and Python version.

    Args:
        structures: pictures that give the structure.
        appearances: pictures that give the appearance; a picture is never paired with itself.
        seed: of the shuffles.

    Yields:
        Rounds, until each structure has met each appearance.
    """
    generator = random.Random(seed)
    same = list(structures) == list(appearances)
    left = _shuffled(structures, generator)
    right = left if same else _shuffled(appearances, generator)
    shifts = _shuffled(range(1 if same else 0, len(right)), generator)
    for shift in shifts:
        pairs = ((path, right[(i + shift) % len(right)]) for i, path in enumerate(left))
        yield [(structure, other) for structure, other in pairs if structure != other]


def nearest_pairing(
    structures: Sequence[Path], appearances: Sequence[Path], seed: int, embed: Embed
) -> Iterator[list[tuple[Path, Path]]]:
    """Rounds of pairs by similarity: each structure with its nearest, and so on.

    Similarity is the cosine of embeddings; ties go to the appearance that is listed first. The
    seed shuffles the order of structures alone, so that the first few pairs are a fair sample.

    Args:
        structures: pictures that give the structure.
        appearances: pictures that give the appearance; a picture is never paired with itself.
        seed: of the order of structures.
        embed: is called once with the structures, and once with the appearances if these differ.

    Yields:
        Rounds, until each structure has met each appearance.

    Raises:
        InputError: embeddings that are not one finite vector for each picture.
    """
    right = _directions(appearances, embed)
    same = list(structures) == list(appearances)
    left = right if same else _directions(structures, embed)
    if left.shape[1] != right.shape[1]:
        raise InputError("embeddings of structures and appearances differ in width.")
    order = _shuffled(range(len(structures)), random.Random(seed))
    places = {path: index for index, path in enumerate(appearances)}
    for rank in range(len(appearances)):
        found: list[tuple[Path, Path]] = []
        for start in range(0, len(order), 512):
            rows = order[start : start + 512]
            likeness = left[rows] @ right.T
            for row, index in enumerate(rows):
                own = places.get(structures[index])
                if own is not None:
                    likeness[row, own] = -np.inf
            ranked = _ranked(likeness, rank)
            found += [
                (structures[index], appearances[int(other)])
                for row, (index, other) in enumerate(zip(rows, ranked, strict=True))
                if np.isfinite(likeness[row, other])
            ]
        if found:
            yield found


def _ranked(likeness: np.ndarray, rank: int) -> np.ndarray:
    """Column of the rank-th largest value of each row."""
    if rank == 0:
        return likeness.argmax(axis=1)
    return (-likeness).argsort(axis=1, kind="stable")[:, rank]


def _directions(pictures: Sequence[Path], embed: Embed) -> np.ndarray:
    vectors = np.asarray(embed(pictures), dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) != len(pictures) or not np.isfinite(vectors).all():
        raise InputError(
            f"embeddings of {len(pictures)} pictures must be that many finite vectors; "
            f"these have the shape {vectors.shape}."
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)


def _shuffled(items: Sequence, generator: random.Random) -> list:
    """Fisher and Yates on `random()`, the one draw whose sequence Python promises to keep."""
    result = list(items)
    for last in range(len(result) - 1, 0, -1):
        other = int(generator.random() * (last + 1))
        result[last], result[other] = result[other], result[last]
    return result
