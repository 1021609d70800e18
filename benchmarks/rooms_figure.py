"""The figure of docs/architecture.md: the rooms of the package, and who imports whom.

    python benchmarks/rooms_figure.py

Rooms stand on floors: each is one above the highest room that it imports, to which lines go down. Lines
that others imply are left out.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from command import run_command

PACKAGE = Path(__file__).parents[1] / "splice"


@dataclass(frozen=True)
class Options:
    """Where the figure goes to."""

    output: Path = Path("docs/images/architecture.png")
    """The figure."""


def main(options: Options) -> None:
    """Reads the imports and draws them."""
    uses = rooms_used()
    floors = floors_of(uses)
    figure, axes = plt.subplots(figsize=(8, 6), dpi=110)
    places = {}
    for floor in range(max(floors.values()) + 1):
        row = sorted(room for room in floors if floors[room] == floor)
        aside = 0.1 * (-1) ** (
            floor + 1
        )  # so that no line passes behind a room that it does not end at
        for column, room in enumerate(row):
            places[room] = ((column + 1) / (len(row) + 1) + aside, floor)
    for room, used in uses.items():
        for other in used - implied(room, uses):
            (x, y), (end_x, end_y) = places[room], places[other]
            axes.plot((x, end_x), (y, end_y), color="0.6", zorder=1)
    for room, (x, y) in places.items():
        box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": "0.3"}
        axes.text(x, y, room, ha="center", va="center", bbox=box)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.5, max(floors.values()) + 0.5)
    axes.axis("off")
    figure.savefig(options.output, bbox_inches="tight")
    print(options.output)


def rooms_used(package: Path = PACKAGE) -> dict[str, set[str]]:
    """The rooms that each room imports."""
    rooms = [each.name for each in package.iterdir() if (each / "__init__.py").is_file()]
    uses: dict[str, set[str]] = {room: set() for room in rooms}
    for room in rooms:
        for file in (package / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module is not None:
                    first, *rest = node.module.split(".")
                    if first == package.name and rest and rest[0] in uses:
                        uses[room].add(rest[0])
        uses[room].discard(room)
    return uses


def floors_of(uses: dict[str, set[str]]) -> dict[str, int]:
    """How many rooms each stands on, one on the other; rooms that import none stand on the ground."""
    floors: dict[str, int] = {}
    while len(floors) < len(uses):
        ready = [r for r in uses if r not in floors and uses[r] <= floors.keys()]
        if not ready:
            raise ValueError(f"rooms import each other: {sorted(uses.keys() - floors.keys())}")
        for room in ready:
            floors[room] = 1 + max((floors[other] for other in uses[room]), default=-1)
    return floors


def implied(room: str, uses: dict[str, set[str]]) -> set[str]:
    """What the rooms that a room imports import themselves, at any depth."""
    return {each for other in uses[room] for each in uses[other] | implied(other, uses)}


if __name__ == "__main__":
    run_command(main, Options)
