"""`splice report`: a gallery of outputs, a blind preference sheet, or the tally of its answers."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from splice.commands.parser import Options, add_count, number, path
from splice.commands.progress import progress, show
from splice.commands.systems import add_against, systems_of
from splice.errors import InputError

if TYPE_CHECKING:
    from splice.pictures.pairs import Pair
    from splice.studies.report import Preference

_DESCRIPTION = (
    "Show outputs as one HTML page that works without a network: a gallery of all pairs. Or ask "
    "people which of two systems' pictures they prefer, without telling which is whose."
)
_USAGE = "OUTPUTS [--against NAME=DIR]… | --two-alternative A=DIR B=DIR | --tally FILE… [options]"


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0.

    Raises:
        SpliceError: folders or files that cannot be read, or a page that cannot be written.
    """
    values = _options(program).parse(arguments)
    _check(values)
    if values.tally:
        _tally(values)
    elif values.two_alternative:
        _sheet(values)
    else:
        _gallery(values)
    return 0


def _options(program: str) -> Options:
    parser = Options(program, _DESCRIPTION, usage=_USAGE)
    parser.add_argument(
        "outputs",
        nargs="?",
        type=path,
        metavar="OUTPUTS",
        help="folder that 'splice batch' or 'splice transfer' has written",
    )
    parser.add_argument(
        "--output",
        type=path,
        metavar="FILE",
        help="the page; by default OUTPUTS/report.html, or preference.html",
    )
    parser.add_argument("--title", metavar="TEXT", help="of the page")
    gallery = parser.add_argument_group("gallery")
    add_against(gallery)
    gallery.add_argument(
        "--scores",
        type=path,
        metavar="FILE",
        help="show the scores that 'splice evaluate --json' has written",
    )
    gallery.add_argument(
        "--pictures",
        choices=("embedded", "beside"),
        metavar="WHERE",
        help="embedded in the page, or beside it in a folder; by default embedded up to 150 pairs",
    )
    sheet = parser.add_argument_group("preference sheet")
    sheet.add_argument(
        "--two-alternative",
        nargs=2,
        metavar=("A=DIR", "B=DIR"),
        help="two systems' names and folders of pictures",
    )
    sheet.add_argument(
        "--pairs",
        type=path,
        metavar="PAIRS",
        help="where the pairs are, if neither folder is of our runs (see 'splice batch')",
    )
    add_count(sheet, "--count", "ask about N pairs, drawn at random")
    sheet.add_argument(
        "--seed", type=number(0, whole=True), default=0, metavar="N", help="of the order (0)"
    )
    tally = parser.add_argument_group("tally")
    tally.add_argument(
        "--tally",
        nargs="+",
        type=path,
        metavar="FILE",
        help="count the answers that sheets have saved",
    )
    tally.add_argument("--json", type=path, metavar="FILE", help="write the counts as JSON as well")
    return parser


def _check(values: Namespace) -> None:
    modes = {
        "OUTPUTS": values.outputs is not None,
        "--two-alternative": values.two_alternative is not None,
        "--tally": values.tally is not None,
    }
    chosen = [name for name, is_chosen in modes.items() if is_chosen]
    if not chosen:
        raise InputError(
            "give a folder of outputs to show, or --two-alternative A=DIR B=DIR, or --tally FILE…."
        )
    if len(chosen) > 1:
        raise InputError(f"{chosen[0]} and {chosen[1]} do not go together; give one of them.")
    of_mode = {
        "OUTPUTS": {"--against": values.against, "--scores": values.scores}
        | {"--pictures": values.pictures},
        "--two-alternative": {"--pairs": values.pairs, "--count": values.count},
        "--tally": {"--json": values.json},
    }
    for mode, options in of_mode.items():
        for option, value in options.items():
            if value and mode != chosen[0]:
                raise InputError(f"{option} goes with {mode}, not with {chosen[0]}.")


def _gallery(values: Namespace) -> None:
    from splice.studies.report import find_runs, write_gallery
    from splice.studies.report.scored import Scored

    against = systems_of(values.against, "--against")
    entries = find_runs(values.outputs)
    page = values.output or values.outputs / "report.html"
    _check_page(page)
    told = progress(values.quiet)
    try:
        write_gallery(
            page,
            entries,
            title=values.title or values.outputs.resolve().name,
            against=against,
            scored=Scored.read(values.scores) if values.scores else None,
            embed=None if values.pictures is None else values.pictures == "embedded",
            progress=lambda done, total: told.count(done, total, "pair"),
        )
    finally:
        told.close()
    show(str(page))


def _sheet(values: Namespace) -> None:
    from splice.studies.report.sheet import draw_questions, write_sheet

    page = values.output or Path("preference.html")
    _check_page(page)
    systems = systems_of(values.two_alternative, "--two-alternative", beside_ours=False)
    pairs = _pairs(values, systems)
    questions = draw_questions(pairs, systems, seed=values.seed, count=values.count)
    write_sheet(page, questions, **({"title": values.title} if values.title else {}))
    if not values.quiet:
        _say(f"{len(questions)} questions; open the page, answer, and count with --tally")
    show(str(page))


def _pairs(values: Namespace, systems: dict[str, Path]) -> list[Pair]:
    """The pairs that are asked about: as given, or as the runs of one of the systems tell."""
    if values.pairs is not None:
        from splice.pictures.pairs import plan_pairs

        return list(plan_pairs(values.pairs).pairs)
    from splice.studies.report import find_runs
    from splice.studies.report.sheet import pairs_of_runs

    for folder in systems.values():
        try:
            pairs = pairs_of_runs(find_runs(folder))
        except InputError:
            continue
        if pairs:
            return pairs
    raise InputError(
        "neither folder holds runs of Splice whose structure and appearance images are still where "
        "they were; add --pairs PAIRS to tell where they are."
    )


def _tally(values: Namespace) -> None:
    import json
    from dataclasses import asdict

    from splice.pictures.images import write_atomically
    from splice.studies.report.tally import read_answers, tally

    results = tally(choice for file in values.tally for choice in read_answers(file))
    if values.json is not None:
        text = json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False)
        write_atomically(values.json, lambda file: file.write(f"{text}\n".encode()))
    show("\n\n".join(map(_counted, results)))


def _counted(result: Preference) -> str:
    """One comparison in words."""
    answers = f"{result.answers} answer" + ("s" if result.answers != 1 else "")
    pairs = f"{result.pairs} pair" + ("s" if result.pairs != 1 else "")
    people = f"{result.sessions} " + ("people" if result.sessions != 1 else "person")
    lines = [
        f"{result.first} is preferred to {result.second} in {result.share:.1%} of {answers} "
        f"[95 % interval {result.low:.1%} to {result.high:.1%}]",
        f"on {pairs}, by {people}; worth {result.effective:.3g} independent answers; "
        f"left chosen in {result.left:.0%}; {result.seconds:.1f} s an answer",
    ]
    return "\n".join(lines)


def _check_page(page: Path) -> None:
    if page.is_dir():
        raise InputError(f"--output {page} is a folder; give the name of an HTML file.")
    if not page.absolute().parent.is_dir():
        raise InputError(
            f"{page} cannot be written: there is no folder {page.parent}; create it first."
        )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
