"""Folders scored end to end with a tiny judge, and the statistics against closed forms."""

import csv
import importlib
import json
import math
from pathlib import Path
from types import ModuleType

import pytest
import tiny
import torch
from PIL import Image

from splice.analysis.scores import evaluation as ev
from splice.analysis.scores import score_table
from splice.analysis.scores.evaluation import Evaluation, bootstrap, compare
from splice.analysis.scores.metrics import BETTER, Scores, score
from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.pictures.images import read_image, write_image
from splice.pictures.pairs import Pair


@pytest.fixture(scope="module")
def vit() -> FrozenViT:
    return tiny.frozen(tiny.standard(patch_size=28))


def save(path: Path, height: int, width: int, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 5, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0]
    write_image(path, image.clamp(0, 1))
    return path


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


def made_up(colour: list[float], texture: list[float]) -> dict[str, Scores]:
    return {
        f"p{n}": Scores(
            self_sim=0.01 * n, dino_i=0.5, texture=t, colour=c, layout=1.0, artefacts=0.3
        )
        for n, (c, t) in enumerate(zip(colour, texture, strict=True))
    }


@pytest.fixture
def table() -> Evaluation:
    scores = {
        "ours": made_up([0.1, 0.2, 0.6], [0.5, 0.5, math.nan]),
        "a|b": made_up([0.2, 0.2, 0.2], [0.25, 1.0, math.nan]),
    }
    return Evaluation("tiny", scores, {"ours": (), "a|b": ("p9",)}, "ours")


def test_text_names_the_judge_and_holds_every_mean(table: Evaluation) -> None:
    text = score_table.format_text(table)
    assert "tiny" in text
    lines = text.splitlines()
    row = next(line for line in lines if line.startswith("ours "))
    assert row.split()[1:] == ["0.0100", "0.500", "0.500", "0.3000", "1.000", "0.300"]
    # Ours minus theirs: -0.1, 0, +0.4; lower is better.
    row = [line for line in lines if line.startswith("a|b")][1]
    assert "+0.1000 1-1-1" in row
    assert "texture is a number for 2 of the pairs only" in text
    assert all(len(line) < 130 for line in lines)


def test_what_is_not_defined_is_told_in_words() -> None:
    """As the texture is, where a pair's two pictures look the same."""
    scores = {name: made_up([0.1], [math.nan]) for name in ("ours", "rival")}
    same = Evaluation("tiny", scores, {"ours": (), "rival": ()}, "ours")
    for text in (score_table.format_text(same), score_table.format_markdown(same)):
        assert text.count("not defined") == 3  # of both, and of their difference
        assert "nan" not in text and "n/a" not in text
    assert score_table.as_data(same)["systems"]["ours"]["scores"]["texture"]["mean"] is None


def test_markdown_is_a_table_with_as_many_cells_everywhere(table: Evaluation) -> None:
    text = score_table.format_markdown(table)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 2 + 2 + 1
    assert {line.replace("\\|", "").count("|") for line in rows} == {8}
    assert "tiny" in text


def test_without_ours_there_is_nothing_to_compare_with(table: Evaluation) -> None:
    alone = Evaluation(table.judge, table.scores, table.missing)
    assert "minus" not in score_table.format_text(alone)
    assert "minus" not in score_table.format_markdown(alone)
    assert "ours_minus_this" not in score_table.as_data(alone)["systems"]["a|b"]


def test_json_is_strict_and_complete(table: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    score_table.write_json(path, table)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    data = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert data["judge"] == "tiny"
    assert data["common_pairs"] == ["p0", "p1", "p2"]
    ours = data["systems"]["ours"]
    assert ours["scores"]["colour"]["mean"] == pytest.approx(0.3)
    assert ours["scores"]["texture"] == {"mean": 0.5, "low": 0.5, "high": 0.5, "count": 2}
    assert ours["pairs"]["p2"]["texture"] is None
    assert data["systems"]["a|b"]["missing"] == ["p9"]
    against = data["systems"]["a|b"]["ours_minus_this"]["colour"]
    assert against["difference"]["mean"] == pytest.approx(0.1)
    assert (against["wins"], against["ties"], against["losses"]) == (1, 1, 1)
    assert [file.name for file in tmp_path.iterdir()] == ["scores.json"]


def test_csv_has_a_row_for_each_system(table: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    score_table.write_csv(path, table)
    with path.open(newline="", encoding="utf-8") as file:
        ours, theirs = csv.DictReader(file)
    assert (ours["system"], theirs["system"]) == ("ours", "a|b")
    assert ours["judge"] == "tiny"
    assert (ours["pairs"], theirs["missing"]) == ("3", "1")
    for name in BETTER:
        mean, low, high = (float(ours[f"{name}{end}"]) for end in ("", "_low", "_high"))
        assert low <= mean <= high
    assert ours["colour_difference"] == ""
    assert float(theirs["colour_difference"]) == pytest.approx(0.1)
    assert (theirs["colour_wins"], theirs["colour_ties"], theirs["colour_losses"]) == ("1",) * 3


@pytest.mark.parametrize("write", [score_table.write_csv, score_table.write_json])
def test_files_that_cannot_be_written_are_named(
    write: "object", table: Evaluation, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="nowhere"):
        write(tmp_path / "nowhere" / "scores", table)  # type: ignore[operator]


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    return importlib.import_module("quality")


@pytest.mark.slow
def test_benchmark_scores_what_is_there_beside_what_was_published(
    quality: ModuleType,
    vit: FrozenViT,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for n, name in enumerate(("00", "01", "02")):
        for side, shift in (("A", 0), ("B", 9)):
            save(tmp_path / "pairs" / "wild" / name / side / "x.png", 40, 56, n + shift)
        save(tmp_path / "published" / "wild" / "wct2" / f"{name}.jpg", 40, 56, n + 30)
    save(tmp_path / "ours" / "wild" / "00" / "output.png", 40, 56, 20)
    save(tmp_path / "ours" / "wild" / "02.png", 40, 56, 21)
    monkeypatch.setattr(quality.FrozenViT, "load", lambda name, device: vit)
    options = quality.Options(
        pairs_root=tmp_path / "pairs",
        published=tmp_path / "published",
        outputs=(f"new={tmp_path / 'ours'}",),
        save=tmp_path / "saved",
    )
    quality.main(options)
    assert "over 2 common pairs" in capsys.readouterr().out
    data = json.loads((tmp_path / "saved" / "quality.json").read_text())["wild"]
    assert data["ours"] == "new"
    assert data["common_pairs"] == ["wild/00", "wild/02"]
    assert list(data["systems"])[:2] == ["new", "wct2"]
    pictures = [tmp_path / "pairs" / "wild" / "02" / side / "x.png" for side in "AB"]
    expected = score(vit, read_image(tmp_path / "ours/wild/02.png"), *map(read_image, pictures))
    assert data["systems"]["new"]["pairs"]["wild/02"]["dino_i"] == pytest.approx(expected.dino_i)
    sheet = read_image(tmp_path / "saved" / "wild.png")
    assert sheet.shape[2] > 4 * 56 / 40 * 180


def test_benchmark_averages_seeds_pair_by_pair(quality: ModuleType) -> None:
    scores = {
        "new, seed 0": made_up([0.1, 0.2], [0.5, 0.5]),
        "new, seed 1": made_up([0.3, 0.6], [0.7, 0.5]),
        "old": made_up([0.9, 0.9], [1.0, 1.0]),
    }
    missing: dict[str, tuple[str, ...]] = dict.fromkeys(scores, ())
    merged = quality.average_seeds(
        Evaluation("judge", scores, missing), {"new": ["new, seed 0", "new, seed 1"]}, "new"
    )
    assert merged.systems == ("new", "old")
    assert merged.ours == "new"
    assert merged.values("new", "colour") == pytest.approx([0.2, 0.4])
    assert merged.values("new", "texture") == pytest.approx([0.6, 0.5])
    assert merged.interval("new", "colour").count == 2


def test_contact_sheet_puts_each_picture_in_its_place(quality: ModuleType) -> None:
    red, blue = Image.new("RGB", (200, 100), "red"), Image.new("RGB", (50, 100), "blue")
    rows = [("first", [red, None]), ("second", [blue, blue])]
    sheet = quality.contact_sheet(iter(rows), ["left", "right"], cell_height=50)
    # Label column 90, cells at least 90 wide, gaps of 4; label row 20.
    assert sheet.size == (90 + 100 + 4 + 90 + 4, 20 + 2 * 54)
    assert sheet.getpixel((90 + 50, 20 + 25)) == (255, 0, 0)
    assert sheet.getpixel((90 + 104 + 12, 20 + 25)) == (255, 255, 255)
    assert sheet.getpixel((90 + 12, 20 + 54 + 25)) == (0, 0, 255)
    assert sheet.getpixel((90 + 104 + 12, 20 + 54 + 25)) == (0, 0, 255)
