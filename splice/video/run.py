"""One run: a video and pictures with a look in, the painted video out.

The generator's learning can be stopped and resumed, as a run of a pair can. Painting that is stopped
leaves the frames so far.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError
from splice.method.settings import Settings
from splice.running import checkpoint as checkpoints
from splice.running.device import find_device
from splice.running.inputs import Files
from splice.running.memory import explained
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.running.resuming import Resumable, proceed
from splice.video.flicker import Flicker
from splice.video.frames import Frame, Source
from splice.video.outcome import VideoOutcome
from splice.video.survey import fitting_size, frame_size, frames_at, survey
from splice.video.writing import write_frames

if TYPE_CHECKING:
    from splice.backbones.weights import Progress
    from splice.method.step import Step

VIDEO = "video"
"""What a checkpoint calls the frames."""

STEPS_SHARE = 0.5
"""Of the steps that a picture takes, where they are `auto`: a video paints itself steady besides."""


class VideoRun:
    """A run that is ready to go: frames counted, key frames chosen, earlier state restored.

    Attributes:
        count: frames of the video.
        key_frames: numbers of the key frames, from 0.
        first: the steps of learning that are done already.
    """

    def __init__(
        self,
        source: Source,
        appearances: Sequence[Path],
        settings: Settings,
        folder: RunFolder,
        *,
        appearance_masks: Sequence[Path] | None = None,
        most_key_frames: int = 4,
        resume: bool = False,
        progress: "Progress | None" = None,
    ) -> None:
        """Read everything, and decide between starting and going on.

        Args:
            source: of the frames.
            appearances: files of the appearance images, one or several.
            settings: of the run.
            folder: for the checkpoint, held by this process.
            appearance_masks: of each, white where the look comes from.
            most_key_frames: how many key frames there are at most.
            resume: go on from the folder's checkpoint, if it has one.
            progress: told of downloads of weights.

        Raises:
            InputError: frames, pictures, settings or a checkpoint that cannot be used.
            RunError: the weights could not be fetched, or there is not enough memory.
        """
        from splice.method.transfer import Transfer
        from splice.video.learning import KeyFrames

        check_settings(settings)
        settings = _settled(settings, *frame_size(source))
        self.settings, self.folder, self._source = settings, folder, source
        files = Files.of(appearances[0], appearances, settings, None, appearance_masks)
        inputs = {VIDEO: source.sha256(), **files.sums()}
        inputs.pop("structure image")
        earlier = checkpoints.unfinished(folder.path / CHECKPOINT, resume)
        chosen = {**settings.model_dump(mode="json"), "key-frames": most_key_frames}
        self._known = Resumable(folder.path, chosen, inputs, earlier)
        self.device = find_device(settings.device)
        self.count, self.key_frames = survey(source, most_key_frames)
        self._size = (
            fitting_size(source, settings, self.device)
            if earlier is None
            else int(earlier.watched["size"])  # what is free for `auto` may have changed
        )
        pictures = frames_at(source, self.key_frames, self._size)
        vit = self._known.load(self.device, progress=progress)
        read = files.read(self._size)
        self._height, self._width = pictures[0].shape[1:]
        with explained(self._height, self._width, self.device, settings):
            self._transfer = Transfer(
                pictures[0],
                read.appearances,
                settings,
                vit,
                self.device,
                appearance_mask=read.appearance_masks,
                method=KeyFrames.of(pictures),
            )
        if earlier is not None:
            with self._known.restoring(earlier):
                self._transfer.restore(dict(earlier.state))
        self.first: int = self._transfer.step

    def learn(
        self,
        *,
        watch: "Callable[[Step], object]" = lambda step: None,
        stop: Callable[[], int | None] = lambda: None,
        checkpoint_every: float = 30.0,
    ) -> int | None:
        """Do the steps of learning that are left, and save what was learnt.

        Args:
            watch: is given the record of every step.
            stop: is asked after every step; an exit status means to stop there.
            checkpoint_every: seconds between two checkpoints.

        Returns:
            The exit status to stop with; None to go on with painting.

        Raises:
            RunError: the optimisation failed, or the disk is full.
        """
        with explained(self._height, self._width, self.device, self.settings):
            steps, every = self._transfer.steps(), checkpoint_every
            status = proceed(
                steps, lambda step: None, watch=watch, stop=stop, save=self.save, every=every
            )
        if self.settings.step_count:
            self.save()
        return status

    def paint(
        self,
        output: Path,
        *,
        watch: Callable[[int, int], object] = lambda done, total: None,
        stop: Callable[[], int | None] = lambda: None,
    ) -> VideoOutcome:
        """Paint and write all frames.

        Args:
            output: the video, or a folder.
            watch: is told how many frames are done, and of how many.
            stop: is asked after every frame; an exit status means to stop there.

        Raises:
            InputError: the output cannot be written.
            RunError: the disk is full, or memory ran out.
        """
        from splice.video.painter import FramePainter

        status: list[int] = []
        done = 0

        def painted() -> Iterator[tuple[Float[Tensor, "3 height width"], Frame]]:
            nonlocal done
            for frame in self._source.frames(self._size):
                yield painter.paint(frame.image), frame
                done += 1
                watch(done, self.count)
                wish = stop()
                if wish is not None and done < self.count:
                    status.append(wish)
                    return

        with explained(self._height, self._width, self.device, self.settings):
            painter = FramePainter(self._transfer)
            write_frames(output, self._source, self.settings.depth, painted(), self.count)
        if not status:
            self.folder.remove(CHECKPOINT)
        return self.outcome(output, done, painter.flicker, status[0] if status else None)

    def outcome(
        self, output: Path, frames: int, flicker: Flicker, status: int | None
    ) -> VideoOutcome:
        """How the run ended, after so many frames."""
        seconds = time.monotonic() - self._known.begun
        step = self._transfer.step
        asked = self.settings.step_count
        return VideoOutcome(output, frames, self.count, step, asked, seconds, flicker, status)

    def save(self) -> None:
        """Write a checkpoint of what was learnt."""
        transfer = self._transfer
        self._known.save(self.folder, transfer.step, transfer.state(), {"size": self._size})


def _settled(settings: Settings, height: int, width: int) -> Settings:
    """The same settings with a number of steps."""
    settled = settings.settled(height, width)
    if settings.steps != "auto":
        return settled
    return settled.model_copy(update={"steps": max(1, round(STEPS_SHARE * settled.step_count))})


def check_settings(settings: Settings) -> None:
    """Refuse settings that videos do not have.

    Raises:
        InputError: the published method, a strength below 1, or a background to keep.
    """
    if settings.method == "paper":
        raise InputError("the published method paints no videos; choose another preset than paper.")
    if settings.strength < 1:
        raise InputError("videos are painted at full strength; leave --strength out.")
    if settings.keep_background:
        raise InputError("videos are painted as a whole; leave --keep-background out.")
