"""`splice video`: paint a video, or a folder of frames, in the look of a picture."""

from __future__ import annotations

import itertools
from argparse import ArgumentTypeError, Namespace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from splice.commands.parser import Options, add_count, add_settings, chosen_settings, path
from splice.commands.progress import Silent, duration, progress, show
from splice.commands.run_options import add_appearance_mask, add_run_options
from splice.errors import InputError
from splice.running.signals import deferred

if TYPE_CHECKING:
    from splice.method.settings import Settings
    from splice.video.frames import Source
    from splice.video.outcome import VideoOutcome

OUTPUTS = Path("outputs")

KEY_FRAMES = 4
"""Key frames at most, by default."""

_DESCRIPTION = (
    "Paint a video, or a folder of frames, in the look of a picture: one generator for all frames, "
    "and what it is given carried from frame to frame, so that nothing flickers. Audio is kept."
)


def main(arguments: list[str], program: str) -> int:
    """Run the command.

    Returns:
        0 when all frames are painted; 130 or 143 when the run was stopped.

    Raises:
        SpliceError: whatever else ends it.
    """
    values = _options(program).parse(arguments)
    settings = chosen_settings(values)
    from splice.pictures.images import check_picture
    from splice.video.frames import open_frames
    from splice.video.run import check_settings
    from splice.video.writing import check_output

    check_settings(settings)
    for picture in (*values.appearances, *(values.appearance_mask or ())):
        check_picture(picture)
    source = open_frames(values.frames, values.rate)
    output = values.output or _free(source, values.appearances[0], values.resume)
    check_output(output, source, settings.depth)
    told = progress(values.quiet)
    try:
        outcome = _run(source, output, settings, values, told)
    finally:
        told.close()
    for line in _ending(outcome):
        told.say(line)
    show(str(outcome.output))
    return 0 if outcome.finished else outcome.exit_status or 1


def _options(program: str) -> Options:
    usage = "VIDEO APPEARANCE [APPEARANCE ...] [--output FILE|DIR] [options]"
    parser = Options(program, _DESCRIPTION, usage=usage)
    parser.add_argument(
        "frames",
        type=path,
        metavar="VIDEO",
        help="a video, a folder of frames, or a pattern such as 'frames/*.png'",
    )
    parser.add_argument(
        "appearances",
        nargs="+",
        type=path,
        metavar="APPEARANCE",
        help="a picture whose look is wanted, a second and more being further looks",
    )
    add_appearance_mask(parser)
    add_count(
        parser,
        "--key-frames",
        f"frames that are looked at closely and learnt from, at most ({KEY_FRAMES})",
        default=KEY_FRAMES,
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        metavar="R",
        help="frames in a second, of a folder of frames (25), as in 24 or 30000/1001",
    )
    add_run_options(
        parser,
        "outputs/<video>--<appearance>",
        checkpoint_every=30.0,
        files="the video to write (.mp4, .mov, .m4v, .mkv)",
    )
    add_settings(parser)
    return parser


def _rate(text: str) -> Fraction:
    """A type of option: a rate above 0, as a number or a fraction."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise ArgumentTypeError(f"cannot be {text}: it should be a number from above 0 to 1,000")
    return rate


def _free(source: Source, appearance: Path, resume: bool) -> Path:
    """The first of `outputs/NAME.mp4`, `outputs/NAME-2.mp4` and so on that is free.

    With `resume` it is the newest that was begun, if one was. Of a folder of frames it is a folder.
    """
    from splice.video.outcome import workplace_of

    try:
        OUTPUTS.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder {OUTPUTS} cannot be made ({error.strerror}); give --output."
        ) from error
    suffix = "" if source.film is None else ".mp4"
    begun = None
    for place in itertools.count(1):
        name = f"{source.name}--{appearance.stem}{'' if place == 1 else f'-{place}'}{suffix}"
        output = OUTPUTS / name
        held = workplace_of(output).exists()
        if not output.exists() and not held:
            return begun or output
        if resume and held:
            begun = output
    raise AssertionError("unreachable")


def _run(
    source: Source, output: Path, settings: Settings, values: Namespace, told: Silent
) -> VideoOutcome:
    from splice.video.flicker import Flicker
    from splice.video.outcome import Workplace
    from splice.video.run import VideoRun

    with Workplace(output) as folder:
        run = VideoRun(
            source,
            values.appearances,
            settings,
            folder,
            appearance_masks=values.appearance_mask,
            most_key_frames=values.key_frames,
            resume=values.resume,
            progress=told.fetching,
        )
        with deferred() as stop:
            if run.settings.step_count > run.first:
                told.begin(run.first, run.settings.step_count)
            status = run.learn(watch=told.step, stop=stop, checkpoint_every=values.checkpoint_every)
            if status is not None:
                return run.outcome(output, 0, Flicker(), status)
            told.count(0, run.count, "frames")
            return run.paint(
                output,
                watch=lambda done, total: told.count(done, total, "frames"),
                stop=stop,
            )


def _ending(outcome: VideoOutcome) -> list[str]:
    lines = []
    if outcome.flicker.pairs:
        flicker = outcome.flicker
        lines.append(
            f"flicker {flicker.output:.4f}, the input's {flicker.input:.4f} (× {flicker.ratio:.2f})"
        )
    if outcome.finished:
        return [*lines, f"painted {outcome.frames} frames in {duration(outcome.seconds)}"]
    where = (
        f"frame {outcome.frames} of {outcome.of}"
        if outcome.frames
        else f"step {outcome.steps} of {outcome.asked}"
    )
    if not outcome.asked:
        return [*lines, f"stopped at {where}"]
    again = f"the same command with --resume --output {outcome.output} goes on from what is learnt"
    return [*lines, f"stopped at {where}; {again}"]
