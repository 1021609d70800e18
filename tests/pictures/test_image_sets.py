"""Image sets, paired at random within each class, and by nearest neighbours against a plain loop."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pair_files import image_set, pair_folder, picture, refusal, stems

from splice.pictures.pairs import plan_pairs

# Image sets


@pytest.fixture
def afhq(tmp_path: Path) -> Path:
    for split, number in (("train", 6), ("val", 4)):
        for label in ("cat", "dog", "wild"):
            image_set(tmp_path / split / label, [f"{label}_{n}" for n in range(number)])
    return tmp_path


def label(path: Path) -> str:
    return path.parent.name


def test_afhq_pairs_within_each_class(afhq: Path) -> None:
    plan = plan_pairs(afhq, pairing="random")
    assert len(plan.pairs) == 12
    assert all("val" in pair.structure.parts for pair in plan.pairs)
    for pair in plan.pairs:
        assert label(pair.structure) == label(pair.appearance)
        assert pair.structure != pair.appearance
        assert pair.name.startswith(label(pair.structure) + "-")
    # Each picture is once structure and once appearance.
    for side in ("structure", "appearance"):
        assert len({getattr(pair, side) for pair in plan.pairs}) == 12
    assert len(plan_pairs(afhq, pairing="random", split="train").pairs) == 18
    assert plan_pairs(afhq / "val", pairing="random").pairs == plan.pairs
    few = plan_pairs(afhq, pairing="random", count=3).pairs
    assert sorted(label(pair.structure) for pair in few) == ["cat", "dog", "wild"]
    assert "train" in refusal(afhq, pairing="random", split="test")


def test_one_class_onto_another(afhq: Path) -> None:
    plan = plan_pairs(
        afhq / "val" / "cat", pairing="random", appearances=afhq / "train" / "dog", count=20
    )
    assert {(label(p.structure), label(p.appearance)) for p in plan.pairs} == {("cat", "dog")}
    assert len(set(stems(plan))) == 20
    assert set(Counter(pair.structure for pair in plan.pairs).values()) == {5}
    back = plan_pairs(
        afhq / "val" / "cat", pairing="random", appearances=afhq / "train" / "dog", direction="BtoA"
    )
    assert {(label(p.structure), label(p.appearance)) for p in back.pairs} == {("dog", "cat")}


def test_random_pairing_depends_on_the_seed_alone(tmp_path: Path) -> None:
    image_set(tmp_path, [f"{number:02}" for number in range(30)])
    first = stems(plan_pairs(tmp_path, pairing="random", count=10, seed=1))
    assert first == stems(plan_pairs(tmp_path, pairing="random", count=10, seed=1))
    assert first != stems(plan_pairs(tmp_path, pairing="random", count=10, seed=2))
    # A longer plan goes on where a shorter one ends.
    assert stems(plan_pairs(tmp_path, pairing="random", count=25, seed=1))[:10] == first


def test_all_pairs_of_a_set(tmp_path: Path) -> None:
    image_set(tmp_path, "abcde")
    found = stems(plan_pairs(tmp_path, pairing="random", count=20))
    assert set(found) == {(a, b) for a in "abcde" for b in "abcde" if a != b}
    assert "only 20" in refusal(tmp_path, pairing="random", count=21)


def test_pairs_are_uniformly_random(tmp_path: Path) -> None:
    image_set(tmp_path, "abcd")
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(600):
        seen.update(stems(plan_pairs(tmp_path, pairing="random", count=1, seed=seed)))
    # 12 pairs, 50 expected of each: chi-squared with 11 degrees, 31.3 at one in a thousand.
    chi_squared = sum((number - 50) ** 2 / 50 for number in seen.values())
    assert len(seen) == 12 and chi_squared < 31.3


def test_one_picture_is_no_pair(tmp_path: Path) -> None:
    image_set(tmp_path, "a")
    assert "no pair" in refusal(tmp_path, pairing="random")
    assert "only 0" in refusal(tmp_path, pairing="random", count=1)


def test_a_bad_picture_of_a_set_is_never_paired(tmp_path: Path) -> None:
    image_set(tmp_path, "abc")
    (tmp_path / "d.png").write_text("no picture")
    assert "d.png is not a picture" in refusal(tmp_path, pairing="random")
    plan = plan_pairs(tmp_path, pairing="random", skip_bad=True)
    assert {stem for pair in stems(plan) for stem in pair} == set("abc")
    assert len(plan.problems) == 1


def test_pictures_that_share_a_stem(tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "bmp"):
        picture(tmp_path / f"same.{suffix}")
    plan = plan_pairs(tmp_path, pairing="random", count=6)
    assert {pair.name for pair in plan.pairs} == {
        "same--same",
        *(f"same--same-{number}" for number in range(2, 7)),
    }


def test_set_needs_a_pairing_and_pairs_need_none(tmp_path: Path) -> None:
    image_set(tmp_path / "set", "ab")
    assert "random or nearest" in refusal(tmp_path / "set")
    assert "random, nearest" in refusal(tmp_path / "set", pairing="best")
    assert "at least 1" in refusal(tmp_path / "set", pairing="random", count=0)
    folder = pair_folder(tmp_path / "stripes")
    for option in ({"pairing": "random"}, {"split": "val"}, {"appearances": tmp_path / "set"}):
        assert "is for image sets" in refusal(folder, **option)


# Nearest neighbours, against a plain loop


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_nearest_pairing(tmp_path: Path, rank: int) -> None:
    paths = image_set(tmp_path, [f"{number:02}" for number in range(12)])
    vectors = np.random.default_rng(0).normal(size=(12, 5)) * np.arange(1, 13)[:, None]

    def embed(pictures: Sequence[Path]) -> np.ndarray:
        return np.stack([vectors[int(path.stem)] for path in pictures])

    plan = plan_pairs(tmp_path, pairing="nearest", embed=embed, count=12 * rank)
    assert len(plan.pairs) == 12 * rank
    for pair in plan.pairs[12 * (rank - 1) :]:
        own = vectors[int(pair.structure.stem)]
        others = [path for path in paths if path != pair.structure]
        cosines = {
            path: own
            @ vectors[int(path.stem)]
            / np.linalg.norm(own)
            / np.linalg.norm(vectors[int(path.stem)])
            for path in others
        }
        assert pair.appearance == sorted(others, key=lambda path: -cosines[path])[rank - 1]


def test_nearest_across_sets(tmp_path: Path) -> None:
    image_set(tmp_path / "left", ["10", "19", "30"])
    image_set(tmp_path / "right", ["11", "29"])

    def embed(pictures: Sequence[Path]) -> np.ndarray:
        angles = np.array([float(path.stem) for path in pictures]) / 20
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    plan = plan_pairs(
        tmp_path / "left", pairing="nearest", appearances=tmp_path / "right", embed=embed
    )
    assert dict(stems(plan)) == {"10": "11", "19": "11", "30": "29"}


@pytest.mark.parametrize("shape", [(3,), (2, 4), (3, 4, 1)])
def test_embeddings_of_the_wrong_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image_set(tmp_path, "abc")
    text = refusal(tmp_path, pairing="nearest", embed=lambda pictures: np.ones(shape))
    assert str(shape) in text
    bad = np.full((3, 4), np.nan)
    assert "finite" in refusal(tmp_path, pairing="nearest", embed=lambda pictures: bad)
    assert "needs a function" in refusal(tmp_path, pairing="nearest")
