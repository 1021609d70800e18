"""Scores of an evaluation as the gallery shows them, those that are not defined included."""

import json
import shutil

import html_pages
import pytest
from gallery_page import card_of, rows_of

from splice.analysis.scores.metrics import BETTER
from splice.errors import InputError
from splice.studies.report import find_runs, write_gallery
from splice.studies.report.scored import Scored


def test_scores_of_an_evaluation_are_shown_for_all_systems(outputs, tmp_path):
    def system(value: float) -> dict:
        interval = {"mean": value, "low": value - 0.01, "high": value + 0.01, "count": 2}
        scores = dict.fromkeys(BETTER, interval)
        pairs = {name: {"texture": value, "layout": None} for name in ("2", "10")}
        return {"scores": scores, "missing": [], "pairs": pairs}

    data = {
        "judge": "the judge",
        "ours": "mine",
        "systems": {"rival": system(0.4), "mine": system(0.25), "copy of structure": system(1.0)},
    }
    (tmp_path / "scores.json").write_text(json.dumps(data))
    scored = Scored.read(tmp_path / "scores.json")
    path = tmp_path / "report.html"
    entries = find_runs(outputs.folder)
    write_gallery(path, entries, title="t", against={"rival": outputs.rival}, scored=scored)
    page = html_pages.read(path)
    (table,) = page.all("section", of="summary")
    rows = [[cell.text for cell in row.all("td")] for row in table.all("tr")[1:]]
    heads = [row.all("th")[0].text for row in table.all("tr")[1:]]
    assert heads == ["ours", "rival", "copy of structure"]
    assert [row[2] for row in rows] == [
        "0.250 0.240–0.260",
        "0.400 0.390–0.410",
        "1.000 0.990–1.010",
    ]
    assert "judged by the judge" in table.text
    (rivals,) = card_of(page, "2").all("section", of="rivals")
    cells = [[cell.text for cell in row.all("td")] for row in rivals.all("tr")[1:]]
    # One column a score; of these, the third alone is known, and one is not defined.
    assert cells == [
        [{"texture": known, "layout": "not defined"}.get(name, "–") for name in BETTER]
        for known in ("0.250", "0.400")
    ]


def test_scores_that_are_not_defined_are_told_as_that(outputs, tmp_path):
    """And neither sorted by nor counted in means."""
    for name in ("2", "10"):
        shutil.copytree(outputs.folder / name, tmp_path / name)
    record = json.loads((tmp_path / "2" / "run.json").read_text())
    record["scores"]["texture"] = record["scores"]["layout"] = None
    (tmp_path / "2" / "run.json").write_text(json.dumps(record))
    other = json.loads((tmp_path / "10" / "run.json").read_text())
    other["scores"]["layout"] = None
    del other["scores"]["artefacts"]  # as an earlier version wrote it
    (tmp_path / "10" / "run.json").write_text(json.dumps(other))
    write_gallery(tmp_path / "report.html", find_runs(tmp_path), title="t")
    page = html_pages.read(tmp_path / "report.html")
    card = card_of(page, "2")
    scores = {row.all("dt")[0].text: row.all("dd")[0].text for row in rows_of(card, "scores")}
    assert scores["texture ↓ (lower is better)"] == "not defined"
    assert "data-score-texture" not in card.attributes
    assert "data-score-colour" in card.attributes
    assert "artefacts" not in " ".join(row.text for row in rows_of(card_of(page, "10"), "scores"))
    (table,) = page.all("section", of="summary")
    cells = dict(zip(BETTER, (cell.text for cell in table.all("tr")[1].all("td")), strict=True))
    assert cells["texture"] == f"{other['scores']['texture']:.3f}"
    assert cells["layout"] == "not defined"


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"systems": {"a": 1}, "ours": "a"}'])
def test_files_that_hold_no_scores(tmp_path, text):
    (tmp_path / "scores.json").write_text(text)
    with pytest.raises(InputError, match="holds no scores"):
        Scored.read(tmp_path / "scores.json")
