"""`splice train`: learn to paint any picture of a domain in the look of any other."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from typing import TYPE_CHECKING, Any

from splice.commands.parser import Options, path
from splice.commands.progress import Silent, progress, show
from splice.commands.run_options import add_checkpoints, ending
from splice.domain.settings import (
    CONDITIONS,
    LAYERS,
    DomainSettings,
    domain_settings,
    setting_paths,
)
from splice.errors import InputError
from splice.running.signals import deferred

if TYPE_CHECKING:
    from splice.domain.parallel import World
    from splice.domain.pictures import Domain
    from splice.running.outcome import Outcome

_DESCRIPTION = (
    "Train one network for a folder of pictures, so that any of them can be painted in the look of any "
    "other in one pass. 'torchrun -m splice train …' trains on several GPUs."
)
_SETTING = "setting "
_METAVARS = {"condition": "|".join(CONDITIONS), "layer": "NAME", "weights": "FILE"}
_HELP = {
    "condition": "what says the appearance: cls (the whole picture), parts, or text (captions)",
    "layer": f"how it enters the network: {', '.join(LAYERS)}",
}


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0 when the model is finished; 130 or 143 when the training was stopped and can be resumed.

    Raises:
        SpliceError: whatever else ends it.
    """
    values = _options(program).parse(arguments)
    settings = domain_settings(_changes(values))
    if values.output.exists() and not values.output.is_dir():
        raise InputError(f"{values.output} is a file; give a folder as --output.")
    from splice.domain.parallel import world_of

    world = world_of()
    told = progress(values.quiet or not world.first)
    try:
        outcome = _run(settings, values, world, told)
    finally:
        told.close()
    if world.first:
        told.say(ending(outcome))
        show(str(outcome.file))
    return 0 if outcome.finished else outcome.exit_status or 1


def _options(program: str) -> Options:
    parser = Options(program, _DESCRIPTION, usage="FOLDER --output MODEL [options]")
    parser.add_argument(
        "folder", type=path, metavar="FOLDER", help="pictures, in any tree of folders"
    )
    parser.add_argument(
        "--output",
        type=path,
        required=True,
        metavar="MODEL",
        help="folder of the training, with model.safetensors, previews and curves",
    )
    parser.add_argument(
        "--split", metavar="NAME", help="part of the domain; by default train where there is one"
    )
    parser.add_argument(
        "--captions",
        type=path,
        metavar="DIR",
        help="texts of the pictures' names; by default beside them, or in text/ or text_c10/",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the unfinished training in the folder"
    )
    add_checkpoints(parser, 60.0)
    group = parser.add_argument_group("settings")
    for name, (default, description) in setting_paths().items():
        options = dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"])
        shown = "none" if default is None else str(default)
        text = _HELP.get(name, description).replace("%", "%%")
        group.add_argument(
            *options,
            dest=_SETTING + name,
            default=SUPPRESS,
            metavar=_METAVARS.get(name, "VALUE"),
            help=f"{text} ({shown})",
        )
    return parser


def _changes(values: Namespace) -> dict[str, Any]:
    """The settings that were given as options."""
    return {
        name.removeprefix(_SETTING): None if value == "none" else value
        for name, value in vars(values).items()
        if name.startswith(_SETTING)
    }


def _run(settings: DomainSettings, values: Namespace, world: World, told: Silent) -> Outcome:
    from splice.domain.parallel import joined
    from splice.domain.pictures import find_domain
    from splice.running.device import find_device

    captioned = settings.condition == "text"
    domain = find_domain(
        values.folder,
        split=values.split,
        captions=values.captions,
        captioned=captioned,
        output=values.output,
    )
    for problem in domain.problems:
        told.say(f"left out: {problem}")
    device = find_device(settings.device)
    if device.type == "cuda" and world.size > 1:
        import torch

        device = find_device(f"cuda:{world.place}")
        torch.cuda.set_device(device)
    with joined(world, device):
        return _within(domain, settings, values, world, told, device)


def _within(
    domain: Domain,
    settings: DomainSettings,
    values: Namespace,
    world: World,
    told: Silent,
    device: Any,
) -> Outcome:
    from contextlib import ExitStack

    from splice.domain.parallel import told_by_first
    from splice.domain.record import earlier_training
    from splice.domain.run import DomainRun
    from splice.running.checkpoint import unfinished
    from splice.running.outputs import CHECKPOINT, RunFolder

    with ExitStack() as stack:
        folder, earlier, finished = None, None, None
        if world.first:
            folder = stack.enter_context(RunFolder(values.output))
            if values.resume:
                finished = earlier_training(folder, domain, settings)
            earlier = unfinished(folder.path / CHECKPOINT, values.resume)
        earlier, finished = told_by_first((earlier, finished), world)
        if finished is not None:
            return finished
        run = DomainRun(
            domain,
            settings,
            values.output,
            folder,
            device,
            world=world,
            earlier=earlier,
            progress=told.fetching,
            looking=lambda done, total: told.count(done, total, "pictures"),
        )
        lonely = len(run.neighbours.outliers)
        if lonely:
            told.say(f"left out: {lonely} pictures that are like no others (see run.json)")
        told.begin(run.first, run.training.total)
        with deferred() as stop:
            return run.proceed(watch=told.step, stop=stop, checkpoint_every=values.checkpoint_every)
