"""Measures compared with the verdicts of judges."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from blind_sheets import NAMES, made_sheets, table_cells, write_answers
from PIL import Image

from splice.errors import InputError

# Measures.


def test_measures_are_compared_with_verdicts(blind: ModuleType, root: Path) -> None:
    """Ours keep the structure image's stripes on three of five pairs, and are flat on two."""
    stripes = np.zeros((64, 96, 3), np.uint8)
    stripes[:, ::4] = stripes[:, 1::4] = 200
    names = NAMES[:5]
    for index, name in enumerate(names):
        kind, _, number = name.partition("/")
        kept = Image.fromarray(255 - stripes // 2)
        flat = Image.new("RGB", (96, 64), (90, 90, 90))
        Image.fromarray(stripes).save(root / "pairs" / name / "A" / "a.png")
        (kept if index < 3 else flat).save(root / "mine" / name / "output.png")
        (flat if index < 3 else kept).save(root / "published" / kind / "x" / f"{number}.png")
    key = made_sheets(blind, root, pairs=tuple(names))

    def choice(entry: dict[str, str], owner: str) -> int:
        return 1 if entry["1"] == owner else 2

    rows = [
        (number, "a", choice(entry, "ours" if names.index(entry["pair"]) < 3 else "theirs"), "")
        for number, entry in key.items()
    ]
    write_answers(root / "out" / "answers.csv", rows)
    measures = importlib.import_module("blind_measures")
    cells = table_cells(measures.measure(root / "out", root / "pairs"))
    assert cells["1 - artefacts"] == ["5", "1.00", "5 of 5"]
    write_answers(root / "out" / "answers.csv", rows[:2])
    with pytest.raises(InputError, match="answers to 2 sheets; at least 3"):
        measures.measure(root / "out", root / "pairs")


def test_the_correlation_is_pearson_s(blind: ModuleType) -> None:
    measures = importlib.import_module("blind_measures")
    verdicts = [1, -1, 0, 1]
    rows = np.array([[0.3, -0.1, 0.2, -0.2], [1.0, 1.0, 1.0, 1.0], [-1.0, 1.0, 0.0, -1.0]])
    cells = list(table_cells(measures.table(verdicts, rows)).values())
    x, y = np.array(verdicts) - 0.25, rows[0] - 0.05
    expected = (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    assert cells[0] == ["4", f"{expected:.2f}", "2 of 3"]
    assert cells[1] == ["4", "–", "2 of 3"]
    assert cells[2] == ["4", "-1.00", "0 of 3"]
