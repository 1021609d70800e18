"""`splice evaluate`: score outputs of pairs, alone or against those of other systems."""

from __future__ import annotations

from argparse import Namespace

from splice.commands.backbone import load_backbone
from splice.commands.pair_options import PAIRS_HELP, add_pair_options, plan_of
from splice.commands.parser import Options, add_settings, chosen_settings, path
from splice.commands.progress import progress, show
from splice.commands.systems import add_against, systems_of
from splice.errors import InputError
from splice.method.settings import Settings

_DESCRIPTION = (
    "Score outputs: how much of the structure image they keep, how much of the appearance image "
    "they take. Copies of both images are scored along, and differences are paired."
)


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0.

    Raises:
        SpliceError: pairs or pictures that cannot be read, or nothing that can be compared.
    """
    values = _options(program).parse(arguments)
    settings = chosen_settings(values)
    for file in (values.csv, values.json, values.markdown):
        if file is not None and not file.absolute().parent.is_dir():
            raise InputError(
                f"{file} cannot be written: there is no folder {file.parent}; create it first."
            )
    _evaluate(values, settings)
    return 0


def _options(program: str) -> Options:
    parser = Options(program, _DESCRIPTION, usage="PAIRS OUTPUTS [--against NAME=DIR]… [options]")
    parser.add_argument("pairs", type=path, metavar="PAIRS", help=PAIRS_HELP)
    parser.add_argument(
        "outputs",
        type=path,
        metavar="OUTPUTS",
        help="folder of <pair>/output.png, as 'splice batch' leaves them, or <pair>.png or .jpg",
    )
    add_against(parser)
    parser.add_argument("--csv", type=path, metavar="FILE", help="write the table as CSV")
    parser.add_argument("--json", type=path, metavar="FILE", help="write all scores as JSON")
    parser.add_argument("--markdown", type=path, metavar="FILE", help="write Markdown tables")
    add_pair_options(parser)
    add_settings(parser, "backbone", "weights", "device")
    return parser


def _evaluate(values: Namespace, settings: Settings) -> None:
    from splice.analysis.scores.evaluation import evaluate_folders
    from splice.analysis.scores.score_table import (
        format_markdown,
        format_text,
        write_csv,
        write_json,
    )
    from splice.pictures.images import write_atomically

    against = systems_of(values.against, "--against")
    pairs = plan_of(values.pairs, values, settings)
    for folder in (values.outputs, *against.values()):  # before anything slow
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; name one that holds pictures to score.")
    told = progress(values.quiet)
    for problem in pairs.problems:
        told.say(f"left out: {problem}")
    try:
        vit = load_backbone(settings, told)
        told.count(0, len(pairs.pairs), "pair")
        found = evaluate_folders(
            vit,
            pairs.pairs,
            values.outputs,
            against,
            progress=lambda done, total: told.count(done, total, "pair"),
        )
    finally:
        told.close()
    if values.csv is not None:
        write_csv(values.csv, found)
    if values.json is not None:
        write_json(values.json, found)
    if values.markdown is not None:
        text = format_markdown(found)
        write_atomically(values.markdown, lambda file: file.write(text.encode()))
    show(format_text(found).rstrip("\n"))
