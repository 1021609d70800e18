"""Pairs painted by two systems, what a preference sheet of them says, and answers to it."""

import json
from pathlib import Path

import html_pages
import numpy as np
from pair_files import flat_picture

from splice.pictures.pairs import Pair

COLOURS = {"ours": (220, 60, 40), "theirs": (30, 90, 200)}
NAMES = [f"pair {number}" for number in range(7)]


def make_pairs(folder: Path) -> list[Pair]:
    return [
        Pair(
            name,
            flat_picture(folder / "pairs" / name / "A" / "s.png", (10 * number, 0, 0)),
            flat_picture(folder / "pairs" / name / "B" / "a.png", (0, 10 * number, 0), (60, 90)),
        )
        for number, name in enumerate(NAMES)
    ]


def make_systems(folder: Path) -> dict[str, Path]:
    for name in NAMES:
        flat_picture(folder / "ours" / name / "output.png", COLOURS["ours"])
        flat_picture(folder / "theirs" / f"{name}.jpg", COLOURS["theirs"], (40, 30))
    return {system: folder / system for system in COLOURS}


def page_data(page: Path) -> dict:
    """What the page's script reads."""
    text = html_pages.read(page).all("script", id="data")[0].children[0]
    assert isinstance(text, str)
    return json.loads(text)


def owner_of(address: str, folder: Path) -> str:
    """The system whose colour a picture has."""
    mean = np.asarray(html_pages.picture(address, folder), dtype=float).mean(axis=(0, 1))
    return min(COLOURS, key=lambda system: float(np.abs(mean - COLOURS[system]).sum()))


def answers_on(page: Path, choose, session: str = "s") -> dict:
    """The file that the page would save, had `choose` pointed at sides."""
    data = page_data(page)
    answers = []
    for question in data["questions"]:
        side = choose(question)
        chosen = question["tokens"][("left", "right").index(side)]
        answers.append(
            {"pair": question["pair"], "side": side, "chosen": chosen, "milliseconds": 2500}
        )
    kept = {name: data[name] for name in ("format", "sheet", "systems")}
    return {**kept, "session": session, "answers": answers}


def saved_answers(path: Path, answers: dict) -> Path:
    path.write_text(json.dumps(answers))
    return path
