"""Manifests: a CSV table or JSON lines, one pair a row, with settings of its own where given."""

import csv
import io
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from splice.errors import InputError
from splice.pictures.pairs.pair import Draft, name_after

CSV_SUFFIXES = (".csv",)
JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")

MASKS = ("structure_mask", "appearance_mask")

_LARGEST = 2**28


def read_manifest(path: Path, *, allow_outside: bool = False) -> tuple[list[Draft], list[str]]:
    """Read the rows of a manifest; what is wrong with a row is told, and the row left out.

    Relative paths count from the manifest's folder. Where links are followed to the end, a
    picture must lie within that folder.

    Args:
        path: a `.csv` with a header line (columns `structure`, `appearance`, optionally `name`,
            `structure_mask` and `appearance_mask`; any other column is a setting, empty where the
            row keeps the run's), or a `.jsonl` with one object a line (the same keys; settings
            beside them or under `settings`).
        allow_outside: let rows name pictures anywhere.

    Returns:
        The pairs, and the problems, each with its line number.

    Raises:
        InputError: the file as a whole cannot be used.
    """
    suffix = path.suffix.lower()
    if suffix not in CSV_SUFFIXES + JSON_LINES_SUFFIXES:
        raise InputError(f"{path} is not a manifest: name a table .csv, and JSON lines .jsonl.")
    text = _read_text(path)
    rows = _csv_rows(path, text) if suffix in CSV_SUFFIXES else _json_rows(text)
    fence = None if allow_outside else _Fence(path.parent)
    drafts, problems = [], []
    for line, row in rows:
        where = f"{path.name} line {line}"
        try:
            drafts.append(_draft(where, path.parent, row, fence))
        except ValueError as error:
            problems.append(f"{where}: {error}.")
    return drafts, problems


def _read_text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is not a regular file; give a manifest.")
        if status.st_size > _LARGEST:
            raise InputError(f"{path} is larger than {_LARGEST >> 20} MiB; split the manifest.")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save the manifest as UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        for column in ("structure", "appearance"):
            if column not in header:
                found = ", ".join(header) or "nothing"
                raise InputError(
                    f"{path} has no column {column}; its first line must name the columns "
                    f"structure and appearance (found: {found})."
                )
        repeated = {column for column in header if header.count(column) > 1 or not column}
        if repeated:
            raise InputError(
                f"{path} has a column without a name, or one twice ({', '.join(sorted(repeated))})."
            )
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(header):
                yield reader.line_num, f"{len(cells)} cells where there are {len(header)} columns"
            else:
                row = dict(zip(header, cells, strict=True))
                yield reader.line_num, {key: _cell(key, cell) for key, cell in row.items() if cell}
    except csv.Error as error:
        raise InputError(f"{path} is no valid CSV at line {reader.line_num}: {error}.") from error


def _cell(column: str, cell: str) -> Any:
    """A cell of a settings column as the number, truth value or list that it spells."""
    if column in ("structure", "appearance", "name", *MASKS):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "not valid JSON"
            continue
        yield number, row if isinstance(row, dict) else "not a JSON object"


def _draft(where: str, folder: Path, row: dict[str, Any] | str, fence: "_Fence | None") -> Draft:
    """Make a pair of a row; a ValueError says what is wrong with it."""
    if isinstance(row, str):
        raise ValueError(row)
    pictures = {}
    for key in ("structure", "appearance", *MASKS):
        value = row.pop(key, None)
        if key in MASKS and value is None:
            continue
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError(f"no path of a picture under {key}")
        picture = folder / value
        if fence is not None and not fence.holds(picture):
            raise ValueError(
                f"{value} lies outside of the manifest's folder; move it there, or allow paths "
                "outside"
            )
        pictures[key] = picture
    name = row.pop("name", None)
    if name is not None and not isinstance(name, str):
        raise ValueError("the name is not a text")
    settings = row.pop("settings", {})
    if not isinstance(settings, Mapping):
        raise ValueError("settings is not an object of names and values")
    twice = sorted(settings.keys() & row.keys())
    if twice:
        raise ValueError(f"{twice[0]} is set twice")
    stem = name_after(pictures["structure"], pictures["appearance"])
    return Draft(where, stem=stem, name=name, settings={**row, **settings}, **pictures)


class _Fence:
    """Tells whether a path, all links followed, lies within a folder."""

    def __init__(self, folder: Path) -> None:
        self._root = os.path.realpath(folder)
        self._parents: dict[str, str] = {}

    def holds(self, path: Path) -> bool:
        parent, name = os.path.split(path)
        if ".." in path.parts or not name:
            return self._within(os.path.realpath(path))
        # Thousands of rows share a few folders, so these are followed once.
        if parent not in self._parents:
            self._parents[parent] = os.path.realpath(parent)
        real = os.path.join(self._parents[parent], name)  # noqa: PTH118
        return self._within(os.path.realpath(real) if os.path.islink(real) else real)  # noqa: PTH114

    def _within(self, real: str) -> bool:
        return Path(real).is_relative_to(self._root)
