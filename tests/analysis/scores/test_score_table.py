"""Scores of several systems as text, Markdown, JSON and CSV."""

import csv
import json
import math
from pathlib import Path

import pytest
from small_scores import made_up

from splice.analysis.scores import score_table
from splice.analysis.scores.evaluation import Evaluation
from splice.analysis.scores.metrics import BETTER
from splice.errors import InputError


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
