"""Answers of preference sheets, counted: who is preferred, and how sure that is."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splice.errors import InputError
from splice.studies.report.sheet import FORMAT, token


@dataclass(frozen=True)
class Choice:
    """One answer: which of two systems somebody preferred on a pair.

    Attributes:
        systems: both, in the order of the alphabet.
        preferred: one of them.
        pair: the pair's name.
        session: of whom it comes from: one opening of a sheet.
        left: whether the preferred picture was on the left.
        seconds: that it took.
    """

    systems: tuple[str, str]
    preferred: str
    pair: str
    session: str
    left: bool
    seconds: float


@dataclass(frozen=True)
class Preference:
    """How often one system was preferred to another.

    Attributes:
        first: the system.
        second: the other.
        share: of the answers that prefer the first, in [0, 1].
        low: lower end of the 95 % interval of the share.
        high: its upper end.
        answers: how many there are.
        effective: how many independent ones they are worth.
        pairs: that were asked about.
        sessions: of whom was asked.
        left: the share of answers for the left picture: far from a half, somebody did not look.
        seconds: of an answer, the median.
    """

    first: str
    second: str
    share: float
    low: float
    high: float
    answers: int
    effective: float
    pairs: int
    sessions: int
    left: float
    seconds: float


def read_answers(path: Path) -> list[Choice]:
    """The answers that a sheet has saved.

    Raises:
        InputError: the file cannot be read, is none of a sheet's, or has been altered.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON; give answers that a sheet has saved.") from error
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(f"{path} holds no answers of a preference sheet of this version.")
    try:
        first, second = (str(system) for system in data["systems"])
        return [_choice(data, answer, (first, second)) for answer in data["answers"]]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} has been altered or damaged ({error}).") from error


def tally(choices: Iterable[Choice], first: str | None = None) -> list[Preference]:
    """Count answers, for each two systems that were compared.

    The interval is Wilson's (1927) for the effective number of answers. Answers about the same pair,
    or by the same person, are alike, so they are worth fewer independent ones: their number is
    divided by the design effect (Kish 1965), the ratio of the variance of the share, as it shows
    between pairs (or persons), to that of independent answers; the larger of both, at least 1. If all
    answers agree, no variance shows, and each pair counts once.

    Args:
        choices: answers of any number of files.
        first: the system whose share is wanted, where it takes part; by default the first in the
            alphabet.

    Raises:
        InputError: there are none, or the same person's answers are there twice.
    """
    groups: dict[tuple[str, str], list[Choice]] = {}
    seen: set[tuple[str, str]] = set()
    for choice in choices:
        if (choice.session, choice.pair) in seen:
            raise InputError(
                "the same answers are given twice: two files come from the same opening of a sheet."
            )
        seen.add((choice.session, choice.pair))
        groups.setdefault(choice.systems, []).append(choice)
    if not groups:
        raise InputError("the files hold no answers.")
    results = []
    for systems, group in sorted(groups.items()):
        name = first if first in systems else systems[0]
        results.append(_preference(name, next(s for s in systems if s != name), group))
    return results


def wilson(share: float, number: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval of a share of `number` independent answers; z for 95 %.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    centre = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = (
        z / (1 + z * z / number) * math.sqrt(share * (1 - share) / number + (z / (2 * number)) ** 2)
    )
    return max(0.0, centre - half), min(1.0, centre + half)


def effective_number(answers: Sequence[tuple[str, bool]]) -> float:
    """How many independent answers are worth as much as these, which come in groups.

    Args:
        answers: the group of each (its pair, or its person), and whether it prefers the first.
    """
    groups: dict[str, list[bool]] = {}
    for group, answer in answers:
        groups.setdefault(group, []).append(answer)
    number, count = len(answers), len(groups)
    share = sum(answer for _, answer in answers) / number
    if share in (0.0, 1.0):
        return float(count)
    if count < 2 or number < 2:
        return float(number)
    spread = sum((sum(group) - share * len(group)) ** 2 for group in groups.values())
    between = count / (count - 1) * spread / number**2
    independent = share * (1 - share) / (number - 1)
    return number / max(1.0, between / independent)


def _preference(first: str, second: str, choices: Sequence[Choice]) -> Preference:
    number = len(choices)
    share = sum(choice.preferred == first for choice in choices) / number
    by_pair = [(choice.pair, choice.preferred == first) for choice in choices]
    by_session = [(choice.session, choice.preferred == first) for choice in choices]
    sessions = {choice.session for choice in choices}
    effective = effective_number(by_pair)
    if len(sessions) > 1 and 0 < share < 1:
        effective = min(effective, effective_number(by_session))
    times = sorted(choice.seconds for choice in choices)
    middle = (times[number // 2] + times[(number - 1) // 2]) / 2
    return Preference(
        first,
        second,
        share,
        *wilson(share, effective),
        number,
        effective,
        len({choice.pair for choice in choices}),
        len(sessions),
        sum(choice.left for choice in choices) / number,
        middle,
    )


def _choice(data: Mapping[str, Any], answer: Mapping[str, Any], systems: tuple[str, str]) -> Choice:
    pair, chosen, side = str(answer["pair"]), answer["chosen"], answer["side"]
    owners = {token(data["sheet"], pair, system): system for system in systems}
    if chosen not in owners or side not in ("left", "right"):
        raise ValueError(f"the answer on {pair} fits no picture of the sheet")
    seconds = float(answer["milliseconds"]) / 1000
    return Choice(systems, owners[chosen], pair, str(data["session"]), side == "left", seconds)
