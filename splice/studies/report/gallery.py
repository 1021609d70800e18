"""The gallery: every pair of a folder of outputs on one page that works from the disk."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from splice import __version__
from splice.analysis.scores.evaluation import find_outputs
from splice.analysis.scores.metrics import BETTER
from splice.method.settings import Settings
from splice.running.checkpoint import flat
from splice.running.durations import duration
from splice.studies.report.cards import make_cards, setting_text
from splice.studies.report.page import write_page
from splice.studies.report.pictures import Store
from splice.studies.report.runs import RunEntry
from splice.studies.report.scored import LABELS, MEANINGS, OURS, Scored

EMBEDDED_AT_MOST = 150
"""Pairs up to which pictures lie within the page by default: beyond, browsers grow slow."""


def write_gallery(
    path: Path,
    entries: Sequence[RunEntry],
    *,
    title: str,
    against: Mapping[str, Path] | None = None,
    scored: Scored | None = None,
    embed: bool | None = None,
    longest: int = 640,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> None:
    """Write the gallery as one HTML page.

    Args:
        path: of the page. Links to files of the runs are relative to it.
        entries: from `find_runs`.
        title: of the page.
        against: folders of other systems' pictures of the same pairs, by the systems' names.
        scored: scores of an evaluation, for these and the other systems' pictures; by default each
            run's own scores are shown.
        embed: put the pictures into the page; else into the folder `<page>_files` beside it. By
            default as many as fit a browser well.
        longest: pixels of the longer side of the pictures, at most.
        progress: is told of pairs done, and of all.

    Raises:
        InputError: a folder of another system is missing, or the page cannot be written there.
        RunError: jinja2 is not installed, or writing failed.
    """
    if embed is None:
        embed = len(entries) <= EMBEDDED_AT_MOST
    store = Store(None if embed else path.with_name(f"{path.stem}_files"))
    names = [entry.name for entry in entries]
    others = {system: find_outputs(folder, names) for system, folder in (against or {}).items()}
    scored = scored or Scored.of_runs(entries)
    usual = _usual_settings(entries)
    cards = make_cards(entries, store, others, scored, usual, path.parent, longest, progress)
    unlike = _unlike_default(usual, entries)
    states = [entry.state for entry in entries]
    write_page(
        path,
        "gallery",
        title=title,
        version=__version__,
        cards=cards,
        total=len(entries),
        counts=[(state, states.count(state)) for state in dict.fromkeys(states)],
        facts=_facts(entries),
        systems=[OURS, *others],
        judge=scored.judge,
        better=BETTER,
        labels=LABELS,
        meanings=MEANINGS,
        summary=scored.summary([OURS, *others]),
        has_scores=any(scored.values(OURS, name) for name in names),
        usual=[(name, setting_text(value), name in unlike) for name, value in usual.items()],
    )


def _usual_settings(entries: Sequence[RunEntry]) -> dict[str, Any]:
    """The settings of most runs: of each, the value that is had most often, the first if tied."""
    every = [entry.settings for entry in entries]
    usual: dict[str, Any] = {}
    for name in dict.fromkeys(name for settings in every for name in settings):
        texts = Counter(json.dumps(settings[name]) for settings in every if name in settings)
        usual[name] = json.loads(texts.most_common(1)[0][0])
    return usual


def _unlike_default(settings: Mapping[str, Any], entries: Sequence[RunEntry]) -> set[str]:
    """The settings that differ from the defaults."""
    defaults = flat(Settings().model_dump(mode="json"))
    # A run says how many steps "auto" was, which goes by the picture.
    sizes = [entry.get("structure", "size") for entry in entries]
    meant = {Settings().settled(*size).steps for size in sizes if _is_size(size)}
    if settings.get("steps") in meant:
        defaults["steps"] = settings["steps"]
    return {name for name, value in settings.items() if defaults.get(name) != value}


def _is_size(found: Any) -> bool:
    """Whether a record, which anybody may have changed, has a size of a picture there."""
    if not isinstance(found, list) or len(found) != 2:
        return False
    return all(isinstance(side, int) and side > 0 for side in found)


def _facts(entries: Sequence[RunEntry]) -> list[tuple[str, str]]:
    """What the runs have in common, or between what they range, in a few words each."""

    def together(*keys: str) -> str:
        found = dict.fromkeys(str(entry.get(*keys)) for entry in entries if entry.get(*keys))
        values = list(found)
        return ", ".join(values[:2]) + (f" and {len(values) - 2} more" if len(values) > 2 else "")

    done = [entry for entry in entries if entry.state == "finished"]
    seconds = [entry.seconds for entry in done if entry.seconds is not None]
    facts = [
        ("backbone", together("backbone", "name")),
        ("steps", together("settings", "steps")),
        ("size", f"{size} px" if (size := together("settings", "size")) else ""),
        ("device", together("device", "name")),
        ("precision", together("precision")),
        ("median time", duration(statistics.median(seconds)) if seconds else ""),
        ("in all", duration(sum(seconds)) if len(seconds) > 1 else ""),
    ]
    return [(name, text) for name, text in facts if text]
