"""The rooms of the package: what each lets others use, and that no arrow runs back up."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "splice"

FLOORS = (
    "errors",
    "pictures",
    "backbones",
    "method",
    "scores",
    "visualize",
    "running",
    "inversion",
    "domain",
    "video",
    "batch",
    "report",
    "benchmark",
    "studio",
    "commands",
)
"""From the ground up: a room may use those before it."""


def imports(package: Path = PACKAGE) -> Iterator[tuple[str, str, list[str]]]:
    """Of every import of the package's own: the file's room, where, and the dotted path imported."""
    for file in sorted(package.rglob("*.py")):
        where = file.relative_to(package)
        room = where.parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                paths = [alias.name.split(".") for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{where}: imports name the whole path"
                paths = [[*(node.module or "").split("."), alias.name] for alias in node.names]
            else:
                continue
            for path in paths:
                if path[0] == package.name and len(path) > 1:
                    yield room, str(where), path[1:]


def door(room: str, package: Path = PACKAGE) -> set[str]:
    """What a room lets others use: modules, and names of its own."""
    listed: set[str] = set()
    for node in ast.parse((package / room / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("MODULES", "__all__"):
            listed |= set(ast.literal_eval(node.value))
    return listed


def breaches(package: Path = PACKAGE, floors: tuple[str, ...] = FLOORS) -> list[str]:
    """Imports of what a room does not list, and of rooms above."""
    found = []
    for room, where, path in imports(package):
        if room in ("__init__", "__main__") or path[0] == room:
            continue
        if path[0] == "__version__":
            continue
        if floors.index(path[0]) > floors.index(room):
            found.append(f"{where} is below {path[0]}")
        if (package / path[0]).is_dir() and path[1] not in door(path[0], package):
            found.append(f"{where} takes {'.'.join(path)}, which {path[0]} does not list")
    return found


def test_rooms_use_what_others_list_and_nothing_above():
    assert breaches() == []


def test_every_room_says_what_it_is_for_and_lists_what_it_has():
    rooms = [each.name for each in PACKAGE.iterdir() if (each / "__init__.py").is_file()]
    assert sorted(rooms) == sorted(set(FLOORS) - {"errors"})
    for room in rooms:
        text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
        assert text is not None and 20 < len(text.split()) < 90, room
        for name in door(room):
            file = PACKAGE / room / name
            known = file.with_suffix(".py").is_file() or file.is_dir()
            assert known or name in (PACKAGE / room / "__init__.py").read_text().split("__all__")[0]


def test_the_package_has_few_entries():
    entries = [each.name for each in PACKAGE.iterdir() if each.name != "__pycache__"]
    assert len(entries) <= 17, sorted(entries)


def test_the_method_can_be_lifted_out():
    below = {path[0] for room, _, path in imports() if room == "method"} - {"method"}
    assert below <= {"errors", "pictures", "backbones"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from splice.attic.trunk import lid", "cellar/shelf.py is below attic"),
        ("import splice.attic.trunk", "cellar/shelf.py is below attic"),
        ("from splice.ground.safe import key", "cellar/shelf.py takes ground.safe.key, which"),
        ("from splice.ground import key", "cellar/shelf.py takes ground.key, which"),
        ("from splice.ground import table", None),
        ("from splice.ground.table import leg", None),
    ],
)
def test_a_breach_is_found(tmp_path, line, said):
    package = tmp_path / "splice"
    for room in ("ground", "cellar", "attic"):
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").write_text('MODULES = ("table", "trunk")')
    (package / "cellar" / "shelf.py").write_text(line)
    found = breaches(package, ("ground", "cellar", "attic"))
    assert len(found) == (said is not None)
    assert all(each.startswith(said) for each in found)
