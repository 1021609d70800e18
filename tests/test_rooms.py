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
    "analysis",
    "running",
    "domain",
    "video",
    "batch",
    "studies",
    "studio",
    "commands",
)
"""From the ground up: a room may use those before it."""


def imports(package: Path = PACKAGE) -> Iterator[tuple[Path, list[str]]]:
    """Every import of the package's own: in which file, and the dotted path imported."""
    for file in sorted(package.rglob("*.py")):
        where = file.relative_to(package)
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
                    yield where, path[1:]


def room_of(where: Path) -> str:
    """The room in which a file of the package stands."""
    return where.parts[0].removesuffix(".py")


def door(folder: Path) -> set[str]:
    """What a room, or a package in one, lets others use: modules, and names of its own."""
    listed: set[str] = set()
    for node in ast.parse((folder / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("MODULES", "__all__"):
            listed |= set(ast.literal_eval(node.value))
    return listed


def breaches(package: Path = PACKAGE, floors: tuple[str, ...] = FLOORS) -> list[str]:
    """Imports of what a room or a package in it does not list, and of rooms above."""
    found = []
    for where, path in imports(package):
        room = room_of(where)
        if room in ("__init__", "__main__") or path == ["__version__"]:
            continue
        if floors.index(path[0]) > floors.index(room):
            found.append(f"{where} is below {path[0]}")
        for depth in range(1, len(path)):
            folder = package.joinpath(*path[:depth])
            inside = where.parts[:depth] == tuple(path[:depth])
            if not inside and folder.is_dir() and path[depth] not in door(folder):
                inner = ".".join(path[:depth])
                found.append(f"{where} takes {'.'.join(path)}, which {inner} does not list")
    return found


def test_rooms_use_what_others_list_and_nothing_above():
    assert breaches() == []


def test_every_room_says_what_it_is_for_and_lists_what_it_has():
    rooms = [each.name for each in PACKAGE.iterdir() if (each / "__init__.py").is_file()]
    assert sorted(rooms) == sorted(set(FLOORS) - {"errors"})
    for entrance in PACKAGE.glob("*/**/__init__.py"):
        room, code = entrance.parent, entrance.read_text()
        text = ast.get_docstring(ast.parse(code))
        assert text is not None and 20 < len(text.split()) < 90, room
        for name in door(room):
            known = (room / name).with_suffix(".py").is_file() or (room / name).is_dir()
            assert known or name in code.split("__all__")[0], f"{room} has no {name}"


def test_the_package_has_few_entries():
    entries = [each.name for each in PACKAGE.iterdir() if each.name != "__pycache__"]
    assert len(entries) <= 14, sorted(entries)


def test_the_method_can_be_lifted_out():
    below = {path[0] for where, path in imports() if room_of(where) == "method"} - {"method"}
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
        ("from splice.ground.trunk.lid import hinge", None),
        ("from splice.ground.trunk.lock import key", "cellar/shelf.py takes ground.trunk.lock.key"),
    ],
)
def test_a_breach_is_found(tmp_path, line, said):
    package = tmp_path / "splice"
    for room in ("ground", "cellar", "attic"):
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").write_text('MODULES = ("table", "trunk")')
    (package / "ground" / "trunk").mkdir()
    (package / "ground" / "trunk" / "__init__.py").write_text('MODULES = ("lid",)')
    (package / "cellar" / "shelf.py").write_text(line)
    found = breaches(package, ("ground", "cellar", "attic"))
    assert len(found) == (said is not None)
    assert all(each.startswith(said) for each in found)
