"""The answers to blind sheets, counted: which system is preferred, and how far judges agree."""

import csv
import io
import itertools
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splice.errors import InputError
from splice.studies.report.tally import wilson

FORMAT = "splice blind sheets 1"
COLUMNS = ("sheet", "judge", "choice", "reason")
OURS, THEIRS = "ours", "theirs"


@dataclass(frozen=True)
class Answer:
    """What one judge said of one sheet: 1, 2, or 0 for no difference."""

    sheet: int
    judge: str
    choice: int


@dataclass(frozen=True)
class Agreement:
    """How often two judges, or several two by two, gave the same answer to the same sheet.

    Attributes:
        same: sheets with the same answer, counted for each two judges.
        both: sheets that both judges answered, likewise.
        kappa: Cohen's, of more than two judges the mean over each two of them; None where there is
            none, since no answers could have differed.
    """

    same: int
    both: int
    kappa: float | None


def count(folder: Path) -> str:
    """A table of the answers on a folder's sheets, by set and overall, and how far judges agree.

    Raises:
        InputError: the key or the answers are missing or malformed.
    """
    key = read_key(folder / "key.json")
    files = sorted(folder.glob("answers*.csv"))
    if not files:
        raise InputError(f"{folder} holds no answers*.csv.")
    answers = read_answers(files, key)
    sets: dict[str, list[Answer]] = {}
    for answer in sorted(answers, key=lambda answer: key[answer.sheet]["pair"]):
        sets.setdefault(key[answer.sheet]["pair"].partition("/")[0], []).append(answer)
    rows = [
        ("set", "sheets", "won", "drawn", "lost", "preferred", "95 %", "same answer", "kappa"),
        ("---", *["---:"] * 8),
        *(_row(name, some, key) for name, some in [*sets.items(), ("all", answers)]),
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    for first, second in itertools.combinations(sorted({a.judge for a in answers}), 2):
        found = agreement([a for a in answers if a.judge in (first, second)])
        if found.both:
            lines.append(
                f"{first} and {second}: the same answer to {found.same} of {found.both} sheets, "
                f"kappa {_number(found.kappa)}"
            )
    asked, judges = len({a.sheet for a in answers}), len({a.judge for a in answers})
    lines.append(f"{judges} judges, {len(answers)} answers, {asked} of {len(key)} sheets")
    return "\n".join(lines)


def read_key(file: Path) -> dict[int, dict[str, str]]:
    """Each sheet's pair and whose its candidates are.

    Raises:
        InputError: the file is missing, or no key of sheets.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file} is missing; give a folder that 'sheets' has written.") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise InputError(f"{file} is not JSON.") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{file} is no key of blind sheets of this version.")
    try:
        return {int(number): _entry(entry) for number, entry in data["sheets"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{file} has been altered or damaged.") from None


def _entry(entry: Mapping[str, Any]) -> dict[str, str]:
    found = {name: str(entry[name]) for name in ("pair", "1", "2", OURS, THEIRS)}
    if {found["1"], found["2"]} != {OURS, THEIRS}:
        raise ValueError(found)
    return found


def read_answers(files: Sequence[Path], key: Mapping[int, object]) -> list[Answer]:
    """The answers of all files; rows without a choice are not answered yet.

    Raises:
        InputError: a file that is no such table, a row that is no answer to a sheet, a judge's second
            answer to one, or no answers at all.
    """
    answers: dict[tuple[int, str], Answer] = {}
    for file in files:
        for line, row in _rows(file):
            where = f"{file}, line {line}"
            text = {name: (row[name] or "").strip() for name in COLUMNS}
            if not text["choice"]:
                continue
            if text["choice"] not in ("0", "1", "2"):
                raise InputError(f"{where}: choice is {text['choice']}; it should be 1, 2 or 0.")
            if not text["judge"]:
                raise InputError(f"{where}: there is a choice, but no judge.")
            number = int(text["sheet"]) if text["sheet"].isdecimal() else -1
            if number not in key:
                raise InputError(f"{where}: there is no sheet {text['sheet'] or 'without number'}.")
            if (number, text["judge"]) in answers:
                raise InputError(f"{where}: {text['judge']} has answered sheet {number} before.")
            answers[number, text["judge"]] = Answer(number, text["judge"], int(text["choice"]))
    if not answers:
        raise InputError(f"{files[0].parent}: no choice is filled in yet.")
    return list(answers.values())


def _rows(file: Path) -> list[tuple[int, dict[str, str | None]]]:
    """The rows of a table with their line numbers; commas or semicolons between the cells."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is not text in UTF-8.") from None
    header = text.partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=";" if ";" in header else ",", strict=True
    )
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{file} has no column {missing[0]}; it needs {', '.join(COLUMNS)}.")
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{file}, line {reader.line_num}: {error}.") from None


def verdict(sheet_answers: Iterable[Answer], key: Mapping[int, Mapping[str, str]]) -> int:
    """1 if more judges prefer ours on a sheet, -1 if more prefer theirs, 0 for a draw."""
    owners = [key[answer.sheet][str(answer.choice)] for answer in sheet_answers if answer.choice]
    ours, theirs = owners.count(OURS), owners.count(THEIRS)
    return (ours > theirs) - (ours < theirs)


def agreement(answers: Sequence[Answer]) -> Agreement:
    """How far judges agree, in the answers that they gave: 1, 2 or 0.

    Cohen's kappa ("A coefficient of agreement for nominal scales", 1960) is (p - c) / (1 - c), p being
    the share of sheets with the same answer, and c the share that would have it by chance, if both
    judges gave each answer as often as they did but at random. Of several judges it is the mean over
    each two (Light 1971).
    """
    by_judge: dict[str, dict[int, int]] = {}
    for answer in answers:
        by_judge.setdefault(answer.judge, {})[answer.sheet] = answer.choice
    same, both, kappas = 0, 0, []
    for first, second in itertools.combinations(by_judge.values(), 2):
        shared = sorted(first.keys() & second.keys())
        if not shared:
            continue
        alike = sum(first[number] == second[number] for number in shared)
        same, both = same + alike, both + len(shared)
        chance = sum(
            sum(first[number] == choice for number in shared)
            * sum(second[number] == choice for number in shared)
            for choice in (0, 1, 2)
        )
        rest = len(shared) ** 2 - chance
        if rest:
            kappas.append((alike * len(shared) - chance) / rest)
    return Agreement(same, both, statistics.fmean(kappas) if kappas else None)


def _row(
    name: str, answers: Sequence[Answer], key: Mapping[int, Mapping[str, str]]
) -> tuple[str, ...]:
    by_sheet: dict[int, list[Answer]] = {}
    for answer in answers:
        by_sheet.setdefault(answer.sheet, []).append(answer)
    verdicts = [verdict(some, key) for some in by_sheet.values()]
    won, drawn, lost = (verdicts.count(value) for value in (1, 0, -1))
    share = (won + drawn / 2) / len(verdicts)
    low, high = wilson(share, float(len(verdicts)))
    found = agreement(answers)
    return (
        name,
        *map(str, (len(verdicts), won, drawn, lost)),
        f"{share:.2f}",
        f"{low:.2f} to {high:.2f}",
        _number(found.same / found.both if found.both else None),
        _number(found.kappa),
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
