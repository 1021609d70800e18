"""`splice invert`: paint a picture back from its features."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from splice.commands.parser import Options, add_count, path
from splice.commands.progress import Silent, progress
from splice.commands.run_options import add_blocks, add_run_options, blocks_of, ending
from splice.running.signals import deferred
from splice.studies.inversion.settings import (
    FEATURES,
    INVERSION_PRESETS,
    InversionSettings,
    load_inversion_preset,
)

if TYPE_CHECKING:
    from torch import Tensor

    from splice.method.step import Step
    from splice.running.outcome import Outcome
    from splice.running.outputs import RunFolder
    from splice.studies.inversion.loop import InversionStep

OUTPUTS = Path("outputs")

_DESCRIPTION = (
    "Paint a picture that has the features of the given one, with an untrained network: "
    "what comes out shows what the features keep, and what they forget."
)
_USAGE = "IMAGE… [--feature NAME] [--block N… | --block all] [--seeds N] [options]"
_SETTINGS = {
    "feature": ("NAME", f"what to invert: {', '.join(FEATURES)}"),
    "seeds": ("N", "inversions of each target, from different networks and noise"),
    "seed": ("N", "seed of the first of them"),
    "steps": ("N", "steps of the optimisation"),
    "size": ("PX", "short side of what is seen and painted"),
    "learning_rate": ("X", "step size of Adam"),
    "backbone": ("NAME", "the frozen vision transformer"),
    "weights": ("FILE", "file of its weights, instead of the usual ones"),
    "device": ("NAME", "auto, cpu, cuda, cuda:1 or mps"),
    "precision": ("NAME", "of the matrix products: auto, fp32 or bf16"),
}


@dataclass(frozen=True)
class _Told:
    """A step as the progress bar shows it."""

    step: int
    steps: int
    losses: dict[str, Tensor]
    note: str = ""


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0 when the inversions are finished; 130 or 143 when they were stopped and can be resumed.

    Raises:
        SpliceError: whatever else ends it.
    """
    values = _options(program).parse(arguments)
    settings = load_inversion_preset(values.preset, _changes(values))
    told = progress(values.quiet)
    try:
        outcome = _run(settings, values, told)
    finally:
        told.close()
    told.say(ending(outcome, f" --output {outcome.file.parent}"))
    print(outcome.file)
    return 0 if outcome.finished else outcome.exit_status or 1


def _options(program: str) -> Options:
    parser = Options(program, _DESCRIPTION, usage=_USAGE)
    parser.add_argument("pictures", nargs="+", type=path, metavar="IMAGE", help="to invert")
    add_blocks(parser)
    parser.add_argument(
        "--preset",
        default=INVERSION_PRESETS[0],
        metavar="NAME|FILE",
        help=f"{' (the default), '.join(INVERSION_PRESETS)} (the paper's), or a YAML file",
    )
    for name, (metavar, text) in _SETTINGS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar=metavar, help=text)
    add_count(
        parser,
        "--together",
        "inversions in one batch; by default 1 on a CPU, on a GPU what its memory takes",
    )
    add_run_options(parser, "outputs/<image>--<feature>", checkpoint_every=120.0)
    return parser


def _changes(values: Namespace) -> dict[str, Any]:
    """The settings that were given as options."""
    given = {name: getattr(values, name) for name in _SETTINGS}
    changes = {name: value for name, value in given.items() if value is not None}
    if values.block is not None:
        blocks = blocks_of(values.block)
        changes["blocks"] = blocks if isinstance(blocks, str) else tuple(blocks)
    return changes


def _run(settings: InversionSettings, values: Namespace, told: Silent) -> Outcome:
    from splice.pictures.images import check_picture

    for picture in values.pictures:
        check_picture(picture)
    from splice.studies.inversion.outcome import earlier_outcome
    from splice.studies.inversion.run import InversionRun

    with _folder(settings, values) as folder:
        if values.resume:
            earlier = earlier_outcome(folder, values.pictures, settings)
            if earlier is not None:
                return earlier
        run = InversionRun(
            values.pictures,
            settings,
            folder,
            resume=values.resume,
            together=values.together,
            progress=told.fetching,
        )
        told.begin(run.first, settings.steps)

        def watch(step: InversionStep) -> None:
            losses = {"distance": step.losses.mean()}
            told.step(cast("Step", _Told(step.step, step.steps, losses)))

        with deferred() as stop:
            return run.proceed(watch=watch, stop=stop, checkpoint_every=values.checkpoint_every)


def _folder(settings: InversionSettings, values: Namespace) -> RunFolder:
    from splice.running.outputs import RunFolder

    if values.output is not None:
        return RunFolder(values.output)
    first = values.pictures[0].stem
    others = len(values.pictures) - 1
    name = f"{first}{f'-and-{others}-more' if others else ''}--{settings.feature}"
    return RunFolder.numbered(OUTPUTS, name, resume=values.resume)
