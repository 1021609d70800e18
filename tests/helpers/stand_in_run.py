"""Small runs of the stand-in, to their end or to a step."""

from functools import partial
from pathlib import Path

import small_run

from splice.running.outputs import RunFolder
from splice.running.run import Run

STEPS = 12

settings_of = partial(small_run.settings, steps=STEPS)


def run_into(
    small: small_run.SmallRun, folder: Path, *, resume: bool = False, stop_at=None, **changes
):
    """One run of the stand-in; `stop_at` stops it after that step."""
    settings = settings_of(small, **changes)
    seen: list[int] = []
    with RunFolder(folder) as held:
        run = Run(small.files, settings, held, resume=resume)
        outcome = run.proceed(
            watch=lambda step: seen.append(step.step),
            stop=lambda: 143 if stop_at is not None and seen[-1] >= stop_at else None,
            checkpoint_every=0.0,
        )
    return outcome, seen
