"""`splice batch`: the same as `splice transfer`, for many pairs."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from splice.commands.pair_options import PAIRS_HELP, add_pair_options, plan_of
from splice.commands.parser import Options, add_count, add_settings, chosen_settings, path
from splice.commands.progress import progress, show
from splice.commands.run_options import add_checkpoints
from splice.errors import InputError
from splice.running.durations import duration
from splice.running.signals import deferred

if TYPE_CHECKING:
    from splice.backbones.weights import Provenance
    from splice.batch import BatchPlan, Event

_DESCRIPTION = (
    "Paint many pairs, each into a folder of its own; one that fails does not stop the others."
)


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0 when all pairs are finished; 1 when one has failed; 130 or 143 when the batch was stopped
        and can be resumed.

    Raises:
        SpliceError: whatever keeps the batch from beginning, or ends it.
    """
    values = _options(program).parse(arguments)
    _check(values)
    settings = chosen_settings(values)
    from splice.batch import plan_batch, settings_of

    pairs = plan_of(values.pairs, values, settings, partial(settings_of, settings))
    for problem in pairs.problems:
        _say(f"left out: {problem}")
    plan = plan_batch(pairs.pairs, settings, values.output, resume=values.resume)
    if values.plan:
        return _show_plan(plan)
    return _run(plan, pairs.problems, values)


def _options(program: str) -> Options:
    parser = Options(program, _DESCRIPTION, usage="PAIRS --output DIR [options]")
    parser.add_argument("pairs", type=path, metavar="PAIRS", help=PAIRS_HELP)
    parser.add_argument(
        "--output",
        type=path,
        required=True,
        metavar="DIR",
        help="folder of the batch; each pair's run lies in DIR/<name of the pair>",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="leave finished pairs alone, go on with unfinished ones, try failed ones again",
    )
    parser.add_argument(
        "--plan", action="store_true", help="only list the pairs that are left to do"
    )
    group = parser.add_argument_group("workers")
    add_count(
        group, "--workers", "processes on this machine; by default one for each GPU, one without"
    )
    add_count(group, "--pairs-per-device", "pairs at once on each GPU (1)", default=1)
    add_count(
        group,
        "--threads",
        "CPU threads of each worker; by default this machine's are divided, 1 with --ray",
    )
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="work on a Ray cluster: HOST:PORT, auto, or local for one on this machine",
    )
    add_checkpoints(group, 30.0, " of a pair")
    add_pair_options(parser)
    add_settings(parser)
    return parser


def _check(values: Namespace) -> None:
    if values.ray is not None and values.workers is not None:
        raise InputError(
            "--workers is for this machine; on a Ray cluster, --threads and --pairs-per-device say "
            "how many pairs fit a node."
        )
    if values.workers is not None and values.pairs_per_device > 1:
        raise InputError("give --workers or --pairs-per-device, not both.")


def _show_plan(plan: BatchPlan) -> int:
    for task in plan.tasks:
        show(f"{task.name}\t{task.structure}\t{task.appearance}")
    _say(_left(plan))
    return 0


def _left(plan: BatchPlan) -> str:
    parts = [f"{len(plan.tasks)} pairs to do" if len(plan.tasks) != 1 else "1 pair to do"]
    if plan.unfinished:
        parts.append(f"{plan.unfinished} of them begun")
    if plan.finished:
        parts.append(f"{len(plan.finished)} finished before")
    return ", ".join(parts)


def _run(plan: BatchPlan, problems: tuple[str, ...], values: Namespace) -> int:
    from splice.batch import Journal, fetch_backbones
    from splice.commands.batch_progress import batch_progress

    if not values.quiet:
        _say(_left(plan))
    with Journal(values.output) as journal:
        for problem in problems:
            journal.skip(problem)
        told = progress(values.quiet)
        try:
            provenances = fetch_backbones(plan.tasks, told.fetching)
        finally:
            told.close()
        steps = {task.name: task.step_count for task in plan.tasks}
        watched = batch_progress(values.quiet, steps, sys.stderr)
        try:
            with deferred() as status:
                events = _events(plan, values, provenances, lambda: status() is not None)
                with closing(events):
                    for event in events:
                        journal.add(event)
                        watched.add(event)
        finally:
            watched.close()
    stopped, pace = status(), watched.pace
    if not values.quiet or pace.failed or stopped:
        took = f" in {duration(pace.seconds)}" if pace.finished else ""
        failed = f", {pace.failed} failed (see {journal.path})" if pace.failed else ""
        _say(f"{pace.finished} of {pace.total} pairs finished{took}{failed}")
    if stopped is not None and pace.finished + pace.failed < pace.total:
        _say("stopped; the same command with --resume goes on from here")
        return stopped
    show(str(values.output))
    return 1 if pace.failed else 0


def _events(
    plan: BatchPlan,
    values: Namespace,
    provenances: Mapping[tuple[str, str | None], Provenance],
    stop: Callable[[], bool],
) -> Generator[Event, None, None]:
    if values.ray is not None:
        from splice.batch.cluster import run_on_ray

        return run_on_ray(
            plan.tasks,
            values.ray,
            provenances=provenances,
            pairs_per_device=values.pairs_per_device,
            threads=values.threads or 1,
            checkpoint_every=values.checkpoint_every,
            stop=stop,
        )
    from splice.batch import placements, run_local

    devices = {task.settings.device for task in plan.tasks}
    return run_local(
        plan.tasks,
        workers=placements(
            values.workers,
            pairs_per_device=values.pairs_per_device,
            # Where pairs name GPUs of their own, every worker must see them all.
            device=devices.pop() if len(devices) == 1 else "cpu",
        ),
        threads=values.threads,
        checkpoint_every=values.checkpoint_every,
        stop=stop,
        debug=values.debug,
    )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
