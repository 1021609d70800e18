"""The cards of a gallery: everything that it says and shows of each pair, made one by one."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from splice.running.durations import duration
from splice.running.outputs import FILES, PANEL, TIME_LAPSE
from splice.running.setting_list import yaml_text
from splice.studies.report.curves import chart
from splice.studies.report.pictures import Shown, Store, film_strip, small_copy
from splice.studies.report.runs import RunEntry
from splice.studies.report.scored import OURS, Scored


@dataclass(frozen=True)
class Figure:
    """One picture of a card: what it shows, and where it is."""

    role: str
    label: str
    alt: str
    shown: Shown


def make_cards(
    entries: Sequence[RunEntry],
    store: Store,
    others: Mapping[str, Mapping[str, Path]],
    scored: Scored,
    usual: Mapping[str, Any],
    base: Path,
    longest: int,
    progress: Callable[[int, int], object],
) -> Iterator[dict[str, Any]]:
    """What the page says of each pair, made one by one, so that thousands need little memory."""
    progress(0, len(entries))
    for number, entry in enumerate(entries, 1):
        settings = entry.settings
        own = {n for n, v in settings.items() if n not in usual or usual[n] != v}
        figures = list(_figures(entry, store, others, longest))
        roles = {figure.role: figure for figure in figures}
        yield {
            "number": number,
            "entry": entry,
            "figures": figures,
            "roles": roles,
            "ratio": _ratio(roles),
            "strip": film_strip(entry.folder / TIME_LAPSE, store, f"{number:05d}-time-lapse"),
            "lapse_steps": _lapse_steps(entry),
            "chart": chart(entry.losses()),
            "scores": scored.values(OURS, entry.name),
            "rivals": [(system, scored.values(system, entry.name)) for system in others],
            "settings": [(n, setting_text(v), n in own) for n, v in settings.items()],
            "own": [(n, setting_text(v)) for n, v in settings.items() if n in own],
            "files": _files(entry, base),
            "spent": duration(entry.seconds) if entry.seconds is not None else None,
            "provenance": _provenance(entry),
        }
        progress(number, len(entries))


def _figures(
    entry: RunEntry, store: Store, others: Mapping[str, Mapping[str, Path]], longest: int
) -> Iterator[Figure]:
    name = entry.name
    found: list[tuple[str, str, str, Image.Image | None]] = [
        (
            "structure",
            "structure",
            f"Structure image of {name}",
            _input(entry, "structure", longest),
        ),
        (
            "appearance",
            "appearance",
            f"Appearance image of {name}",
            _input(entry, "appearance", longest),
        ),
    ]
    output = small_copy(entry.output, longest) if entry.output else None
    label = "output" if entry.state == "finished" else "output so far"
    described = f"{label.capitalize()} of {name}: its structure in the look of its appearance image"
    found.append(("output", label, described, output))
    for number, (system, pictures) in enumerate(others.items()):
        picture = small_copy(pictures[name], longest) if name in pictures else None
        found.append((f"other-{number}", system, f"{system}'s output of {name}", picture))
    for role, label, alt, picture in found:
        if picture is not None:
            yield Figure(role, label, alt, store.add(picture, _file_name(name, role)))


def _file_name(name: str, role: str) -> str:
    return f"{name}-{role}"


def _input(entry: RunEntry, role: str, longest: int) -> Image.Image | None:
    """The structure or appearance image: from its file, or, when that has moved, from the panel."""
    path = entry.input(role)
    picture = small_copy(path, longest) if path is not None else None
    return picture or _from_panel(entry, role)


def _from_panel(entry: RunEntry, role: str) -> Image.Image | None:
    """Cut one of the inputs out of the run's panel, where they stand at the output's height."""
    try:
        sizes = [entry.record[part]["size"] for part in ("structure", "appearance", "output")]
        height = sizes[2][1]
        widths = [max(1, round(w * height / h)) for w, h in sizes]
        with Image.open(entry.folder / PANEL) as panel:
            gap = (panel.width - sum(widths)) // 4
            if (panel.width, panel.height) != (sum(widths) + 4 * gap, height + 2 * gap):
                return None
            left = gap if role == "structure" else 2 * gap + widths[0]
            width = widths[0] if role == "structure" else widths[1]
            return panel.convert("RGB").crop((left, gap, left + width, gap + height))
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None


def _ratio(roles: Mapping[str, Figure]) -> float:
    """Width over height of the card's stage, kept from extremes."""
    for role in ("output", "structure", "appearance"):
        if role in roles:
            shown = roles[role].shown
            return round(min(2.4, max(0.5, shown.width / shown.height)), 4)
    return 1.5


def _lapse_steps(entry: RunEntry) -> list[int]:
    """After which steps the frames of the time lapse were taken; the first is the structure image."""
    from splice.running.frames import frame_steps

    taken = frame_steps(max(1, entry.steps))
    return [0, *sorted(step for step in taken if step <= entry.done)]


def _files(entry: RunEntry, base: Path) -> list[tuple[str, str]]:
    """The run's files with their addresses from the page; none where these cannot be relative."""
    try:
        folder = Path(os.path.relpath(entry.folder, base)).as_posix()
    except ValueError:  # another drive on Windows
        return []
    there = [name for name in FILES if (entry.folder / name).is_file()]
    return [(name, quote(f"{folder}/{name}")) for name in there]


def _provenance(entry: RunEntry) -> list[tuple[str, str]]:
    """Where a run's inputs came from, and what computed it."""
    get = entry.get
    size, seconds = get("output", "size"), get("seconds_per_step")
    rows = [
        ("structure image", get("structure", "file")),
        ("its sha256", _short(get("structure", "sha256"))),
        ("appearance image", get("appearance", "file")),
        ("its sha256", _short(get("appearance", "sha256"))),
        ("backbone", get("backbone", "name")),
        ("its weights' sha256", _short(get("backbone", "sha256"))),
        (
            "size of the output",
            " × ".join(map(str, size)) + " px" if isinstance(size, list) else None,
        ),
        ("device", get("device", "name")),
        ("precision", get("precision")),
        ("seconds a step", f"{seconds:.3g}" if isinstance(seconds, float) else None),
        ("skipped steps", get("skipped_steps") or None),
        ("resumed", f"{get('resumed')} times" if get("resumed") else None),
        ("started", get("started")),
        ("ended", get("ended")),
        ("Splice", get("versions", "splice")),
        ("torch", get("versions", "torch")),
    ]
    return [(name, str(value)) for name, value in rows if value is not None]


def _short(digest: Any) -> str | None:
    """The start of a sha256, which tells files apart; all of it is in the run's record."""
    return f"{digest[:16]}…" if isinstance(digest, str) else None


def setting_text(value: Any) -> str:
    """A value of a setting as it would stand in a preset."""
    return yaml_text(_tuples(value))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
