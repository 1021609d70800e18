"""One run: two picture files in, a folder with the spliced picture and its story out.

A run can be stopped after any step, killed at any moment, and resumed; on the CPU the final picture
is the same, byte for byte, as if nothing had happened.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from splice.analysis.scores.metrics import Scores, score
from splice.backbones.frozen_vit import FrozenViT
from splice.errors import RunError, SpliceError
from splice.method.settings import Settings
from splice.pictures.encoding import to_pil, write_image
from splice.pictures.images import resize_short_side
from splice.pictures.kept import read_kept
from splice.running import checkpoint as checkpoints
from splice.running.device import describe_device, find_device, peak_memory, versions
from splice.running.frames import Frame, frame_steps, frames_of, frames_state
from splice.running.inputs import Files, choose_size
from splice.running.loss_table import LossTable
from splice.running.memory import explained
from splice.running.outcome import Outcome
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.running.recipe import recipe_of
from splice.running.resuming import Resumable, proceed

if TYPE_CHECKING:
    from splice.backbones.weights import Progress
    from splice.method.step import Step

FRAME_SIDE = 256
"""Longest short side of the time lapse, in pixels."""

SHOWN_RARELY = 30
"""How many times as long as a picture so far took to write the next one waits."""


class Run:
    """A run that is ready to go: pictures read, backbone loaded, earlier state restored.

    Attributes:
        folder: that it writes to.
        settings: of the run, with a number of steps.
        first: the steps that are done already.
        transfer: the optimisation.
    """

    def __init__(
        self,
        files: Files,
        settings: Settings,
        folder: RunFolder,
        *,
        resume: bool = False,
        progress: "Progress | None" = None,
        vit: FrozenViT | None = None,
    ) -> None:
        """Read everything, and decide between starting and going on.

        Args:
            files: the pictures and their masks.
            settings: of the run.
            folder: to write to, held by this process.
            resume: go on from the folder's checkpoint, if it has one.
            progress: told of downloads of weights.
            vit: the settings' backbone on their device, where it is loaded already.

        Raises:
            InputError: a picture, setting or checkpoint that cannot be used; a folder that holds
                an unfinished run while `resume` is not asked for; a checkpoint of another run.
            RunError: the weights could not be fetched, or there is not enough memory.
        """
        from splice.method.transfer import Transfer

        settings = files.settled(settings)
        self.folder, self.settings, self._files = folder, settings, files
        sums = files.sums()
        earlier = checkpoints.unfinished(folder.path / CHECKPOINT, resume)
        self._known = Resumable(folder.path, settings.model_dump(mode="json"), sums, earlier)
        self.device = find_device(settings.device)
        self._size = (
            choose_size(files.structure, settings, self.device)
            if earlier is None
            else int(earlier.watched["size"])  # what is free for `auto` may have changed
        )
        self._pictures = files.read(self._size)
        self.structure = self._pictures.structure
        unchanged = files.structure_mask is not None or settings.keep_background
        unchanged = unchanged or settings.strength == 0
        self._kept = read_kept(files.structure, unchanged=unchanged)
        self.vit = self._known.load(self.device, progress=progress, vit=vit)
        with self._memory_explained():
            pair, masks = self._pictures.pair, self._pictures.masks
            self.transfer = Transfer(*pair, settings, self.vit, self.device, **masks)
        self.loss_table = LossTable()
        self._frames = [self._small(self.structure)]
        self._show_from = 0.0
        if earlier is None:
            folder.clear()
        else:
            with self._known.restoring(earlier):
                self.transfer.restore(dict(earlier.state))
                self.loss_table = LossTable.restored(earlier.watched)
                self._frames = frames_of(earlier.watched)
        self.first: int = self.transfer.step

    def proceed(
        self,
        *,
        watch: "Callable[[Step], object]" = lambda step: None,
        stop: Callable[[], int | None] = lambda: None,
        shown: Callable[[], object] = lambda: None,
        checkpoint_every: float = 30.0,
    ) -> Outcome:
        """Do the steps that are left, and write everything.

        Args:
            watch: is given the record of every step.
            stop: is asked after every step; an exit status means to stop there.
            shown: is called whenever the picture so far lies in the folder.
            checkpoint_every: seconds between two checkpoints; 0 for one after every step.

        Raises:
            RunError: the optimisation failed, the disk is full, or the folder has vanished. The
                last whole checkpoint stays.
        """
        frames_at = frame_steps(self.settings.step_count)

        def taken(step: "Step") -> None:
            self.loss_table.add(step)
            if step.step in frames_at:
                self._frames.append(self._small(self.transfer.picture()))
                if time.monotonic() >= self._show_from:
                    self._show(shown)

        try:
            with self._memory_explained():
                if self.settings.method == "painting" and self.settings.step_count > 0:
                    self._show(shown)
                steps, every = self.transfer.steps(), checkpoint_every
                status = proceed(steps, taken, watch=watch, stop=stop, save=self.save, every=every)
                if not frames_at:
                    self._frames.append(self._small(self.transfer.picture()))
        except RunError:
            # What the failed optimisation has so far is still worth having.
            with contextlib.suppress(SpliceError, RuntimeError, MemoryError):
                self._write(finished=False)
            raise
        self.save()
        with self._memory_explained():
            return self._end(status)

    def _show(self, shown: Callable[[], object]) -> None:
        """Write the picture so far and say so; the next waits by how long writing took."""
        begun = time.monotonic()
        self.folder.show(self.transfer.output().float().cpu(), self._write_image)
        now = time.monotonic()
        self._show_from = now + SHOWN_RARELY * (now - begun)
        shown()

    def _write_image(self, file: Path, image: torch.Tensor) -> None:
        recipe = recipe_of(
            self._files.named(), self._known.inputs, self.settings, self.transfer.step
        )
        depth = self.settings.depth
        write_image(file, image, kept=self._kept, depth=depth, texts=recipe.texts())

    def save(self) -> None:
        """Write a checkpoint of the step that was done last."""
        watched = {**self.loss_table.state(), **frames_state(self._frames), "size": self._size}
        self._known.save(self.folder, self.transfer.step, self.transfer.state(), watched)

    def _memory_explained(self) -> contextlib.AbstractContextManager[None]:
        height, width = self.structure.shape[1:]
        return explained(height, width, self.device, self.settings)

    def _end(self, status: int | None) -> Outcome:
        done, steps = self.transfer.step, self.settings.step_count
        finished = done >= steps
        scores = self._write(finished)
        if finished:
            self.folder.remove(CHECKPOINT)
        file = self.folder.picture
        return Outcome(file, finished, done, steps, self._known.seconds(), scores, status)

    def _write(self, finished: bool) -> Scores | None:
        """Every file of the run but the checkpoint; the record last, as it says what is there."""
        output = self.transfer.output().detach().float().cpu()
        self.folder.write_picture(output, self._write_image)
        looks = self._pictures.appearances
        self.folder.write_panel([to_pil(image) for image in (self.structure, *looks, output)])
        self.folder.write_losses(
            self.loss_table.csv(), self.loss_table.curves(), self.loss_table.steps()
        )
        self.folder.write_time_lapse([to_pil(frame.float() / 255) for frame in self._frames])
        scores = None
        if finished:
            each = [score(self.vit, output, self.structure, look) for look in looks]
            scores = each[0] if len(each) == 1 else Scores.mean(each)
        self.folder.write_record(self._record(list(output.shape[:0:-1]), scores))
        return scores

    def _record(self, size: list[int], scores: Scores | None) -> dict[str, Any]:
        provenance = self.vit.provenance
        weights = asdict(provenance) if provenance is not None else {}
        return {
            "finished": scores is not None,
            "steps": self.transfer.step,
            "seconds": round(self._known.seconds(), 3),
            "seconds_per_step": self.loss_table.seconds() / max(1, len(self.loss_table.rows)),
            "scores": asdict(scores) if scores is not None else None,
            "losses": self.loss_table.last(),
            "skipped_steps": self.loss_table.skipped(),
            **self._files.record(self._known.inputs, self._pictures),
            "output": {"file": self.folder.picture.name, "size": size},
            "backbone": {"name": self.settings.backbone, **weights},
            "seed": self.settings.seed,
            "settings": self._known.settings,
            "device": describe_device(self.device),
            "precision": self.loss_table.precision(),
            "peak_memory": peak_memory(self.device),
            "memory_spared": self.transfer.sparing,
            "versions": versions(),
            **self._known.times(),
        }

    def _small(self, image: torch.Tensor) -> Frame:
        """The image as a frame of the time lapse: 3 x height x width, 8 bits."""
        side = min(FRAME_SIDE, *image.shape[1:])
        small = resize_short_side(image.detach().float().cpu(), side)
        return (small * 255).round().to(torch.uint8)
