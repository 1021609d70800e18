"""`splice transfer`: paint the structure image with the look of the appearance image."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splice.commands.parser import Options, add_settings, chosen_settings, path
from splice.commands.progress import Silent, duration, progress, show
from splice.commands.run_options import add_run_options
from splice.errors import InputError
from splice.method.settings import Settings
from splice.running.signals import deferred

if TYPE_CHECKING:
    from splice.pictures.pairs import Pair
    from splice.running.outcome import Outcome
    from splice.running.outputs import RunFolder

SAMPLE = Path("datasets") / "samples" / "mountains"
OUTPUTS = Path("outputs")

_DESCRIPTION = (
    "Paint the objects of one picture (structure) with the look of those of another (appearance)."
)


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0 when the picture is finished; 130 or 143 when the run was stopped and can be resumed.

    Raises:
        SpliceError: whatever else ends it.
    """
    values = _options(program).parse(arguments)
    settings = chosen_settings(values)
    pair, looks = _pair(values.pictures)
    files = _files(pair, looks, values)
    _check_output(values.output)
    told = progress(values.quiet)
    try:
        outcome = _run(pair.name, files, settings, values, told)
    finally:
        told.close()
    told.say(_ending(outcome))
    show(str(outcome.picture))
    return 0 if outcome.finished else outcome.exit_status or 1


def _options(program: str) -> Options:
    usage = "[STRUCTURE APPEARANCE [APPEARANCE ...] | PAIR_FOLDER] [options]"
    parser = Options(program, _DESCRIPTION, usage=usage)
    parser.add_argument(
        "pictures",
        nargs="*",
        type=path,
        metavar="STRUCTURE APPEARANCE",
        help="two pictures, a third and more being further looks; or a folder with A/ and B/; by "
        "default the sample pair",
    )
    parser.add_argument(
        "--structure-mask",
        type=path,
        metavar="FILE",
        help="a picture, white where the structure image is painted; the rest stays as it is",
    )
    parser.add_argument(
        "--appearance-mask",
        nargs="+",
        type=path,
        metavar="FILE",
        help="a picture, white where the look comes from; of several looks one for each",
    )
    add_run_options(parser, "outputs/<structure>--<appearance>", checkpoint_every=30.0)
    add_settings(parser)
    return parser


def _pair(pictures: list[Path]) -> tuple[Pair, list[Path]]:
    """The pair, and further appearance images."""
    if not pictures:
        return _only_pair(_sample()), []
    if len(pictures) == 1 and pictures[0].is_dir():
        return _only_pair(pictures[0]), []
    if len(pictures) == 1:
        raise InputError(
            f"{pictures[0]} is one picture and two are needed: give a structure image and an "
            "appearance image, or a folder with one in A/ and one in B/."
        )
    from splice.pictures.images import check_picture
    from splice.pictures.pairs import pair_of_files

    for further in pictures[2:]:
        check_picture(further)
    return pair_of_files(pictures[0], pictures[1]), pictures[2:]


def _files(pair: Pair, looks: list[Path], values: Namespace) -> dict[str, Any]:
    """The pictures and masks of a run, as `splice.running.run.Run` takes them."""
    from splice.pictures.images import check_picture

    masks = values.structure_mask or pair.structure_mask, values.appearance_mask
    if masks[1] is None and pair.appearance_mask is not None:
        masks = masks[0], [pair.appearance_mask]
    for mask in (masks[0], *(masks[1] or [])):
        if mask is not None:
            check_picture(mask)
    return {
        "structure": pair.structure,
        "appearance": [pair.appearance, *looks],
        "structure_mask": masks[0],
        "appearance_mask": masks[1],
    }


def _only_pair(folder: Path) -> Pair:
    from splice.pictures.pairs import pair_of_files, plan_pairs

    pairs = list(plan_pairs(folder).pairs)
    if len(pairs) > 1:
        raise InputError(
            f"{folder} holds {len(pairs)} pairs; give one of them, or run 'splice batch {folder}'."
        )
    (pair,) = pairs
    return replace(pair, name=pair_of_files(pair.structure, pair.appearance).name)


def _sample() -> Path:
    for root in (Path(__file__).parents[2], Path.cwd()):
        if (root / SAMPLE).is_dir():
            return root / SAMPLE
    raise InputError(
        "no pictures are given, and the sample pair is only in the source of Splice; "
        "give a structure image and an appearance image."
    )


def _check_output(output: Path | None) -> None:
    """Refuse a hopeless folder before anything slow; holding it comes later."""
    if output is not None and output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; give a folder as --output.")


def _run(
    name: str, files: dict[str, Any], settings: Settings, values: Namespace, told: Silent
) -> Outcome:
    import warnings

    if not values.debug:
        warnings.simplefilter("ignore")
    from splice.running.outcome import earlier_outcome
    from splice.running.run import Run

    with _folder(name, values) as folder:
        if values.resume:
            earlier = earlier_outcome(folder, settings=settings, **files)
            if earlier is not None:
                return earlier
        run = Run(
            settings=settings,
            folder=folder,
            resume=values.resume,
            progress=told.fetching,
            **files,
        )
        told.begin(run.first, settings.steps)
        with deferred() as stop:
            return run.proceed(watch=told.step, stop=stop, checkpoint_every=values.checkpoint_every)


def _folder(name: str, values: Namespace) -> RunFolder:
    from splice.running.outputs import RunFolder

    if values.output is not None:
        return RunFolder(values.output)
    return RunFolder.numbered(OUTPUTS, name, resume=values.resume)


def _ending(outcome: Outcome) -> str:
    took = duration(outcome.seconds)
    if not outcome.finished:
        return (
            f"stopped at step {outcome.step} of {outcome.steps}; the same command with "
            f"--resume --output {outcome.picture.parent} goes on from here"
        )
    scores = ""
    if outcome.scores is not None:
        values = vars(outcome.scores).items()
        scores = "; " + ", ".join(f"{name} {value:.3g}" for name, value in values)
    return f"finished {outcome.steps} steps in {took}{scores}"
