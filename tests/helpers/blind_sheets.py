"""Pairs painted by two systems, blind sheets of them, and tables of answers."""

import csv
import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
import small_run
from pair_files import flat_picture

BENCHMARKS = small_run.ROOT / "benchmarks"
COLOURS = {
    "A": (40, 180, 60),
    "B": (230, 200, 40),
    "ours": (220, 60, 40),
    "theirs": (30, 90, 200),
}
NAMES = [f"{kind}/{number:02}" for kind in ("birds", "cats") for number in range(1, 6)]


def program(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A module of the benchmarks, by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module(name)


def make(folder: Path) -> Path:
    """The pairs, and a picture of each by both systems."""
    for name in NAMES:
        flat_picture(folder / "pairs" / name / "A" / "a.png", COLOURS["A"], (96, 64))
        flat_picture(folder / "pairs" / name / "B" / "b.png", COLOURS["B"], (60, 80))
        flat_picture(folder / "mine" / name / "output.png", COLOURS["ours"], (96, 64))
        kind, _, number = name.partition("/")
        flat_picture(
            folder / "published" / kind / "x" / f"{number}.png", COLOURS["theirs"], (45, 30)
        )
    return folder


def sheet_options(blind: ModuleType, root: Path, folder: str = "out", **changes):
    values = {
        "pairs_root": root / "pairs",
        "ours": f"{root}/mine/{{set}}/{{id}}/output.png",
        "theirs": f"{root}/published/{{set}}/x/{{id}}.png",
        "output": root / folder,
    }
    return blind.Sheets(**{**values, **changes})


def made_sheets(blind: ModuleType, root: Path, folder: str = "out", **changes) -> dict[str, dict]:
    blind.main(sheet_options(blind, root, folder, **changes))
    return json.loads((root / folder / "key.json").read_text())["sheets"]


def write_answers(
    file: Path, rows: list[tuple], delimiter: str = ",", encoding: str = "utf-8"
) -> None:
    with file.open("w", newline="", encoding=encoding) as stream:
        table = csv.writer(stream, delimiter=delimiter)
        table.writerows([("sheet", "judge", "choice", "reason"), *rows])


def table_cells(text: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in lines[2:]}
