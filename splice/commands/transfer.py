"""`splice transfer`: paint the structure image with the look of the appearance image."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from splice.commands.like import files_like, remarks_on, settings_like
from splice.commands.parser import Options, add_settings, chosen_settings, path
from splice.commands.progress import Silent, progress, show
from splice.commands.run_options import add_appearance_mask, add_run_options, ending
from splice.errors import InputError
from splice.method.settings import Settings
from splice.pictures.formats import check_writable, is_picture_name
from splice.pictures.samples import sample_pair
from splice.running.signals import deferred

if TYPE_CHECKING:
    from splice.pictures.pairs import Pair
    from splice.running.inputs import Files
    from splice.running.outcome import Outcome
    from splice.running.outputs import RunFolder

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
    like: Path | None = values.like
    remarks: list[str] = []
    if like is None:
        settings = chosen_settings(values)
        files = _files(values, settings)
    else:
        recipe, settings = settings_like(like, values)
        files = (
            _files(values, settings)
            if values.pictures
            else _recorded(files_like(recipe, like), values, settings)
        )
        remarks = list(remarks_on(recipe, like, files.named()))
    _check_output(values.output, files, settings)
    told = progress(values.quiet)
    try:
        for remark in remarks:
            told.say(remark)
        outcome = _run(files, settings, values, told)
    finally:
        told.close()
    told.say(_ending(outcome, values.output))
    show(str(outcome.file))
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
    add_appearance_mask(parser)
    add_run_options(
        parser,
        "outputs/<structure>--<appearance>",
        checkpoint_every=30.0,
        files="the picture to write (.png, .jpg, .webp, .tif)",
    )
    parser.add_argument(
        "--like",
        type=path,
        metavar="PNG",
        help="repeat the run that painted this picture: its settings and, if none are given, its "
        "pictures",
    )
    add_settings(parser)
    parser.set_defaults(preset=None)
    return parser


def _pair(pictures: list[Path]) -> tuple[Pair, list[Path]]:
    """The pair, and further appearance images."""
    if not pictures:
        folder = sample_pair()
        if folder is None:
            raise InputError(
                "no pictures are given, and the sample pair is not where Splice was installed; "
                "give a structure image and an appearance image."
            )
        return _only_pair(folder), []
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


def _files(values: Namespace, settings: Settings) -> Files:
    """The pictures and masks of a run."""
    from splice.pictures.images import check_picture
    from splice.running.inputs import Files

    pair, looks = _pair(values.pictures)
    masks = values.structure_mask or pair.structure_mask, values.appearance_mask
    if masks[1] is None and pair.appearance_mask is not None:
        masks = masks[0], [pair.appearance_mask]
    for mask in (masks[0], *(masks[1] or [])):
        if mask is not None:
            check_picture(mask)
    return Files.of(pair.structure, [pair.appearance, *looks], settings, *masks)


def _recorded(found: Mapping[str, Path], values: Namespace, settings: Settings) -> Files:
    """Those that another picture was made of; masks that are named now take their place."""
    from splice.running.inputs import Files

    looks = [what for what in found if what.startswith("appearance image")]
    masks = [found.get(what.replace("image", "mask")) for what in looks]
    return Files.of(
        found["structure image"],
        [found[what] for what in looks],
        settings,
        values.structure_mask or found.get("structure mask"),
        values.appearance_mask or (masks if any(masks) else None),
    )


def _only_pair(folder: Path) -> Pair:
    from splice.pictures.pairs import plan_pairs

    pairs = list(plan_pairs(folder).pairs)
    if len(pairs) > 1:
        raise InputError(
            f"{folder} holds {len(pairs)} pairs; give one of them, or run 'splice batch {folder}'."
        )
    return pairs[0]


def _check_output(output: Path | None, files: Files, settings: Settings) -> None:
    """Refuse a hopeless file or folder before anything slow; holding it comes later."""
    if output is None or output.is_dir():
        return
    if not is_picture_name(output):
        if output.exists():
            raise InputError(f"{output} is a file; give a folder or a picture as --output.")
        return
    check_writable(output, settings.depth)
    for what, file in files.named().items():
        if output.resolve() == file.resolve():
            raise InputError(f"--output {output} is the {what} itself; name another file.")


def _run(files: Files, settings: Settings, values: Namespace, told: Silent) -> Outcome:
    from splice.pictures.pairs import pair_of_files
    from splice.running.outcome import earlier_outcome
    from splice.running.run import Run

    name = pair_of_files(files.structure, files.appearances[0]).name
    with _folder(name, values) as folder:
        if values.resume:
            earlier = earlier_outcome(folder, files, settings)
            if earlier is not None:
                return earlier
        run = Run(files, settings, folder, resume=values.resume, progress=told.fetching)
        told.begin(run.first, run.settings.step_count)
        with deferred() as stop:
            return run.proceed(watch=told.step, stop=stop, checkpoint_every=values.checkpoint_every)


def _folder(name: str, values: Namespace) -> RunFolder:
    from splice.running.outputs import RunFolder
    from splice.running.single_picture import SinglePicture

    if values.output is not None:
        single = is_picture_name(values.output) and not values.output.is_dir()
        return SinglePicture(values.output) if single else RunFolder(values.output)
    return RunFolder.numbered(OUTPUTS, name, resume=values.resume)


def _ending(outcome: Outcome, output: Path | None) -> str:
    said = ending(outcome, f" --output {output or outcome.file.parent}")
    if outcome.finished and outcome.scores is not None:
        values = vars(outcome.scores).items()
        said += "; " + ", ".join(f"{name} {_number(value)}" for name, value in values)
    return said


def _number(score: float) -> str:
    from splice.analysis.scores.score_table import NOT_DEFINED

    return f"{score:.3g}" if math.isfinite(score) else NOT_DEFINED
