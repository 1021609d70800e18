r"""Blind comparisons by eye: numbered sheets of two systems' pictures, and the count of answers.

    python benchmarks/blind.py sheets --pairs-root pairs --ours outputs/{set}/{id}/output.png \
        --theirs published/{set}/splice/{id}.jpg --output FOLDER --pairs wild/06 afhq/dog_9 --seed 1
    python benchmarks/blind.py tally FOLDER
    python benchmarks/blind.py measure FOLDER --pairs-root pairs

`sheets` writes `FOLDER/sheets/01.png` and so on, each with the structure image (A), the appearance
image (B) and two candidates (1 and 2), in random order; `FOLDER/answers.csv`, to be filled in; and
`FOLDER/key.json`, which says whose the candidates are. Judges get the folder `sheets` and a copy of the
table, and answer 1, 2, or 0 for no difference. `tally` reads all of `FOLDER/answers*.csv`, with one
judge or several in each. `measure` says how measures that ask no backbone go with the answers. For many
people there is a page: `splice report --two-alternative`.
"""

import csv
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from ablation import chosen_pairs
from blind_tally import COLUMNS, FORMAT, OURS, THEIRS, count
from command import run_command
from PIL import Image, ImageDraw, ImageFont
from quality import find_pairs, write_text

from splice.errors import InputError
from splice.pictures.images import read_image, to_pil, write_atomically
from splice.pictures.pairs import Pair

QUESTION = "Which image best shows the shape of A with the appearance of B?"
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
class Measure:
    """Compare measures of both systems' pictures with the answers on sheets."""

    folder: tyro.conf.Positional[Path]
    """That the sheets were written to, with the answers."""
    pairs_root: Path
    """Folder of sets of pairs: SET/ID/A and SET/ID/B with one picture each."""


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


def main(options: Sheets | Tally | Measure) -> None:
    """Run one of the three commands."""
    if isinstance(options, Tally):
        print(count(options.folder))
    elif isinstance(options, Measure):
        from blind_measures import measure

        print(measure(options.folder, options.pairs_root))
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
    root, found = options.pairs_root, []
    pairs = chosen_pairs(root, options.pairs) if options.pairs else find_pairs(root, (), ())
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


if __name__ == "__main__":
    run_command(main, Sheets | Tally | Measure)
