"""Folders scored end to end with a tiny judge, and the statistics against closed forms."""

import math
from pathlib import Path

import pytest
import torch
from small_scores import save

from splice.analysis.scores import evaluation as ev
from splice.analysis.scores import score_table
from splice.analysis.scores.evaluation import bootstrap, compare
from splice.analysis.scores.metrics import score
from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.pictures.images import read_image
from splice.pictures.pairs import Pair


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    folder = tmp_path / "pairs"
    return [
        Pair(
            name,
            save(folder / f"{name}-s.png", 40, 56, n),
            save(folder / f"{name}-t.png", 48, 40, n + 9),
        )
        for n, name in enumerate(("cat", "dog.2", "cow"))
    ]


def test_bootstrap_agrees_with_the_normal_approximation() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(1)).double() * 3 + 7
    found = bootstrap(values.tolist())
    error = 1.959964 * values.std().item() / math.sqrt(400)
    assert found.mean == pytest.approx(values.mean().item())
    assert found.low == pytest.approx(found.mean - error, abs=0.04)
    assert found.high == pytest.approx(found.mean + error, abs=0.04)
    assert found.count == 400


def test_bootstrap_of_two_values_has_the_exact_ends() -> None:
    # Means of two draws from {0, 1} are 0, 1/2, 1 with probability 1/4, 1/2, 1/4.
    assert bootstrap([0.0, 1.0]) == ev.Interval(0.5, 0.0, 1.0, 2)
    half = bootstrap([0.0, 1.0], level=0.4)
    assert (half.low, half.high) == (0.5, 0.5)


def test_bootstrap_is_seeded_and_leaves_out_what_is_not_a_number() -> None:
    values = [math.sqrt(n) for n in range(40)]
    assert bootstrap(values) == bootstrap([*values, math.nan, math.inf])
    assert bootstrap(values, seed=1) != bootstrap(values)
    assert bootstrap([3.0]) == ev.Interval(3.0, 3.0, 3.0, 1)
    empty = bootstrap([math.nan])
    assert empty.count == 0
    assert math.isnan(empty.mean) and math.isnan(empty.low) and math.isnan(empty.high)


def test_comparison_is_paired_and_knows_the_better_direction() -> None:
    first, second = [1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 5.0, 3.0]
    lower = compare(first, second, True)
    assert (lower.wins, lower.ties, lower.losses) == (2, 1, 1)
    higher = compare(first, second, False)
    assert (higher.wins, higher.ties, higher.losses) == (1, 1, 2)
    assert lower.difference.mean == pytest.approx((-1 + 0 - 2 + 1) / 4)
    # A constant gap is certain however much the pairs differ among themselves.
    gap = compare([1.0, 10.0, 100.0], [0.5, 9.5, 99.5], True).difference
    assert (gap.low, gap.high) == (pytest.approx(0.5), pytest.approx(0.5))
    with pytest.raises(ValueError, match=r"shorter|longer"):
        compare([1.0], [1.0, 2.0], True)


def test_outputs_are_found_by_either_name(tmp_path: Path) -> None:
    for name in ("a/output.png", "b.jpg", "c.PNG", "d.e.png", "set/f.png", "g.txt"):
        save(tmp_path / "x.png", 16, 16, 0)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / "x.png").rename(tmp_path / name)
    found = ev.find_outputs(tmp_path, ["a", "b", "c", "d.e", "set/f", "g", "h"])
    assert {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()} == {
        "a": "a/output.png",
        "b": "b.jpg",
        "c": "c.PNG",
        "d.e": "d.e.png",
        "set/f": "set/f.png",
    }
    with pytest.raises(InputError, match="nowhere is not a folder"):
        ev.find_outputs(tmp_path / "nowhere", ["a"])


@pytest.mark.slow
def test_folders_are_scored_picture_by_picture(
    vit: FrozenViT, pairs: list[Pair], tmp_path: Path
) -> None:
    for n, pair in enumerate(pairs):
        save(tmp_path / "ours" / pair.name / "output.png", 40, 56, 20 + n)
        save(tmp_path / "theirs" / f"{pair.name}.jpg", 30, 40, 30 + n)
    steps: list[tuple[int, int]] = []
    found = ev.evaluate_folders(
        vit,
        pairs,
        tmp_path / "ours",
        {"theirs": tmp_path / "theirs"},
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert found.judge == "tiny"
    assert found.systems == ("ours", "theirs", "copy of structure", "copy of appearance")
    assert found.common == ("cat", "dog.2", "cow")
    pair = pairs[1]
    structure, appearance = read_image(pair.structure), read_image(pair.appearance)
    of_pair = {
        "ours": read_image(tmp_path / "ours" / "dog.2" / "output.png"),
        "theirs": read_image(tmp_path / "theirs" / "dog.2.jpg"),
        "copy of structure": structure,
        "copy of appearance": appearance,
    }
    for system, output in of_pair.items():
        assert found.scores[system]["dog.2"] == score(vit, output, structure, appearance)


@pytest.mark.slow
def test_missing_outputs_are_told_and_leave_the_pair_out_of_every_row(
    vit: FrozenViT, pairs: list[Pair], tmp_path: Path
) -> None:
    for n, pair in enumerate(pairs):
        save(tmp_path / "ours" / f"{pair.name}.png", 40, 56, 20 + n)
    save(tmp_path / "theirs" / "cow.png", 40, 56, 5)
    save(tmp_path / "theirs" / "cat.png", 40, 56, 6)
    found = ev.evaluate_folders(vit, pairs, tmp_path / "ours", {"theirs": tmp_path / "theirs"})
    assert found.missing["theirs"] == ("dog.2",)
    assert found.common == ("cat", "cow")
    ours = [found.scores["ours"][name].colour for name in ("cat", "cow")]
    assert found.interval("ours", "colour").mean == pytest.approx(sum(ours) / 2)
    assert found.interval("copy of structure", "colour").count == 2
    text = score_table.format_text(found)
    assert "over 2 common pairs" in text
    assert "No picture by theirs for 1 of the pairs" in text
    assert "dog.2" in text
    only = found.select(["dog.2"])
    assert only.systems == ("ours", "copy of structure", "copy of appearance")
    assert only.common == ("dog.2",)


def test_folders_that_cannot_be_compared_are_named(
    vit: FrozenViT, pairs: list[Pair], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError, match=r"empty holds a picture for none of the 3 pairs.*cat\.png"
    ):
        ev.evaluate_folders(vit, pairs, tmp_path / "empty")
    one = {"cat": save(tmp_path / "one.png", 20, 20, 1)}
    other = {"cow": save(tmp_path / "other.png", 20, 20, 1)}
    with pytest.raises(InputError, match=r"no pair has a picture of every system.*a 1, b 1"):
        ev.evaluate(vit, pairs, {"a": one, "b": other})
    with pytest.raises(InputError, match="two pairs are named 'cat'"):
        ev.evaluate(vit, [pairs[0], pairs[0]], {"a": one})
    (tmp_path / "one.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"one\.png"):
        ev.evaluate(vit, pairs, {"a": one})


@pytest.mark.parametrize("text", ["x", "=x", "x=", "ours=dir", "copy of structure=dir"])
def test_against_needs_a_name_and_a_folder(text: str) -> None:
    with pytest.raises(InputError, match=r"NAME=DIR|otherwise"):
        ev.parse_against(text)


def test_against_splits_at_the_first_sign() -> None:
    assert ev.parse_against("wct2=a=b/c") == ("wct2", Path("a=b/c"))
