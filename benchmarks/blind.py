r"""Blind comparisons by eye: numbered sheets of two systems' pictures, and the count of answers.

    python benchmarks/blind.py sheets --pairs-root pairs --ours outputs/{set}/{id}/output.png \
        --theirs published/{set}/splice/{id}.jpg --output FOLDER --pairs wild/06 afhq/dog_9 --seed 1
    python benchmarks/blind.py tally FOLDER

`sheets` writes `FOLDER/sheets/01.png` and so on, each with the structure image (A), the appearance
image (B) and two candidates (1 and 2), in random order; `FOLDER/answers.csv`, to be filled in; and
`FOLDER/key.json`, which says whose the candidates are. Judges get the folder `sheets` and a copy of the
table, and answer 1, 2, or 0 for no difference. `tally` reads all of `FOLDER/answers*.csv`, with one
judge or several in each. For many people there is a page: `splice report --two-alternative`.
"""

import csv
import io
import itertools
import json
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from ablation import chosen_pairs
from command import run_command
from PIL import Image, ImageDraw, ImageFont
from quality import find_pairs, write_text

from splice.errors import InputError
from splice.pictures.images import read_image, to_pil, write_atomically
from splice.pictures.pairs import Pair
from splice.report.tally import wilson

QUESTION = "Which image best shows the shape of A with the appearance of B?"
FORMAT = "splice blind sheets 1"
COLUMNS = ("sheet", "judge", "choice", "reason")
OURS, THEIRS = "ours", "theirs"
HEIGHT, GAP, LABEL_HEIGHT, TEXT = 512, 12, 40, 28


@dataclass(frozen=True)
class Sheets:
    """Make numbered sheets of two systems' pictures in random order."""

    pairs_root: Path
    """Folder of sets of pairs: SET/ID/A and SET/ID/B with one picture each."""
    ours: str
    """Where our pictures lie, with {set} and {id} for a pair's."""
    theirs: str
    """Where the other system's pictures lie, likewise."""
    output: Path
    """Folder to write to."""
    pairs: tuple[str, ...] = ()
    """Pairs to use: SET/ID; by default all of which both systems have a picture."""
    seed: int = 0
    """Of the order of sheets and candidates."""


@dataclass(frozen=True)
class Tally:
    """Count the answers on sheets."""

    folder: tyro.conf.Positional[Path]
    """That the sheets were written to, with the answers."""


@dataclass(frozen=True)
class Question:
    """One sheet.

    Attributes:
        pair: that it is about.
        pictures: of both systems, by `OURS` and `THEIRS`.
        order: whose the candidates 1 and 2 are.
    """

    pair: Pair
    pictures: Mapping[str, Path]
    order: tuple[str, str]


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


def main(options: Sheets | Tally) -> None:
    """Run one of the two commands."""
    if isinstance(options, Tally):
        print(count(options.folder))
    else:
        make_sheets(options)


def make_sheets(options: Sheets) -> None:
    """Write the sheets, their key and an empty table of answers.

    Raises:
        InputError: a pair or picture that is not there, or a folder that holds sheets already.
    """
    key = options.output / "key.json"
    if key.exists():
        raise InputError(f"--output {options.output} holds sheets already; give another folder.")
    questions = draw_questions(find_candidates(options), options.seed)
    folder = options.output / "sheets"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {options.output} is no folder: {error.strerror}.") from None
    digits = max(2, len(str(len(questions))))
    for number, question in enumerate(questions, 1):
        picture = sheet(number, question)
        file = folder / f"{number:0{digits}}.png"
        write_atomically(file, lambda stream, picture=picture: picture.save(stream, "PNG"))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerows([COLUMNS, *([number, "", "", ""] for number in range(1, len(questions) + 1))])
    write_text(options.output / "answers.csv", table.getvalue())
    data = {
        "format": FORMAT,
        "question": QUESTION,
        "seed": options.seed,
        "sheets": {
            str(number): {
                "pair": question.pair.name,
                "1": question.order[0],
                "2": question.order[1],
                **{system: str(picture) for system, picture in question.pictures.items()},
            }
            for number, question in enumerate(questions, 1)
        },
    }
    write_text(key, json.dumps(data, indent=2) + "\n")
    print(f"wrote {len(questions)} sheets to {folder}")


def find_candidates(options: Sheets) -> list[tuple[Pair, dict[str, Path]]]:
    """The pairs to ask about, with the pictures of both systems.

    Raises:
        InputError: a pair or picture that is not there, or a place that cannot be understood.
    """
    known = find_pairs(options.pairs_root, (), ())
    pairs = chosen_pairs(options.pairs_root, options.pairs) if options.pairs else known
    found = []
    for pair in pairs:
        pictures = {
            system: place(text, pair, f"--{system}")
            for system, text in ((OURS, options.ours), (THEIRS, options.theirs))
        }
        missing = [system for system, picture in pictures.items() if not picture.is_file()]
        if not missing:
            found.append((pair, pictures))
        elif options.pairs:
            raise InputError(
                f"--{missing[0]}: of {pair.name} there is no picture {pictures[missing[0]]}."
            )
    if not found:
        raise InputError(
            f"of no pair there are both {options.ours} and {options.theirs}; write places such as "
            "FOLDER/{set}/{id}.png."
        )
    return found


def place(text: str, pair: Pair, option: str) -> Path:
    """Where a pair's picture lies.

    Raises:
        InputError: the text has other fields than {set} and {id}, or does not name the pair.
    """
    set_name, _, number = pair.name.partition("/")
    try:
        path = text.format(set=set_name, id=number)
    except (KeyError, IndexError, ValueError, AttributeError):
        raise InputError(f"{option} {text}: only {{set}} and {{id}} may be in braces.") from None
    if "{id}" not in text:
        raise InputError(f"{option} {text}: it should have {{id}} where a pair's name goes.")
    return Path(path)


def draw_questions(
    candidates: Sequence[tuple[Pair, Mapping[str, Path]]], seed: int
) -> list[Question]:
    """The pairs in random order, each with its candidates in random order.

    Each system is the first equally often (once more, for an odd number), so that a habit of choosing
    one side favours nobody.
    """
    generator = random.Random(seed)
    shuffled = generator.sample(candidates, len(candidates))
    orders = [(OURS, THEIRS), (THEIRS, OURS)]
    generator.shuffle(orders)
    chosen = [orders[number % 2] for number in range(len(shuffled))]
    generator.shuffle(chosen)
    return [
        Question(pair, pictures, order)
        for (pair, pictures), order in zip(shuffled, chosen, strict=True)
    ]


def sheet(number: int, question: Question) -> Image.Image:
    """The four pictures side by side, all of one height, with labels and the question above them.

    The candidates have the structure image's aspect, so that they cannot be told apart by their sizes.

    Raises:
        InputError: a picture cannot be read.
    """
    structure, appearance = (
        to_pil(read_image(file)) for file in (question.pair.structure, question.pair.appearance)
    )
    candidates = [to_pil(read_image(question.pictures[system])) for system in question.order]
    own = _width(structure)
    widths = [own, _width(appearance), own, own]
    pictures = [
        picture.convert("RGB").resize((width, HEIGHT), Image.Resampling.LANCZOS)
        for picture, width in zip([structure, appearance, *candidates], widths, strict=True)
    ]
    font = ImageFont.load_default(TEXT)
    question_text = f"{number}. {QUESTION}"
    width = max(sum(widths) + 5 * GAP, round(font.getlength(question_text)) + 2 * GAP)
    result = Image.new("RGB", (width, 2 * LABEL_HEIGHT + HEIGHT + GAP), "white")
    draw = ImageDraw.Draw(result)
    draw.text((GAP, 4), question_text, fill="black", font=font)
    left = GAP
    for label, picture in zip("AB12", pictures, strict=True):
        draw.text((left, LABEL_HEIGHT + 4), label, fill="black", font=font)
        result.paste(picture, (left, 2 * LABEL_HEIGHT))
        left += picture.width + GAP
    return result


def _width(picture: Image.Image) -> int:
    return max(1, round(picture.width * HEIGHT / picture.height))


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
        key = {int(number): _entry(entry) for number, entry in data["sheets"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{file} has been altered or damaged.") from None
    return key


def _entry(entry: Mapping[str, Any]) -> dict[str, str]:
    found = {name: str(entry[name]) for name in ("pair", "1", "2")}
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
    same = f"{found.same / found.both:.2f}" if found.both else "–"
    counts = map(str, (len(verdicts), won, drawn, lost))
    return (
        name,
        *counts,
        f"{share:.2f}",
        f"{low:.2f} to {high:.2f}",
        same,
        _number(found.kappa),
    )


def _number(kappa: float | None) -> str:
    return "–" if kappa is None else f"{kappa:.2f}"


if __name__ == "__main__":
    run_command(main, Sheets | Tally)
