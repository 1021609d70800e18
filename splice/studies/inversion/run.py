"""A run of inversions: picture files in, a folder with pictures, losses and their story out.

It can be stopped after any step, killed at any moment and resumed; on a CPU the pictures are then
the same, byte for byte, as if nothing had happened.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.precision import precision_of
from splice.backbones.weights import Progress
from splice.errors import InputError
from splice.pictures.images import read_image
from splice.running import checkpoint as checkpoints
from splice.running.device import describe_device, find_device, peak_memory, versions
from splice.running.frames import Frame, frame_steps, frames_of, frames_state
from splice.running.outcome import Outcome
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.running.resuming import Resumable, proceed
from splice.studies.inversion.loop import InversionStep, inversion_steps
from splice.studies.inversion.outcome import sums_of
from splice.studies.inversion.result import psnr, relative_distances
from splice.studies.inversion.run_files import GRID, RunFiles
from splice.studies.inversion.settings import InversionSettings
from splice.studies.inversion.subjects import Picture, seen, subjects


class InversionRun:
    """Inversions that are ready to go: pictures read, backbone loaded, earlier state found.

    Attributes:
        folder: that it writes to.
        first: the steps that are done already.
    """

    def __init__(
        self,
        files: Sequence[Path],
        settings: InversionSettings,
        folder: RunFolder,
        *,
        resume: bool = False,
        together: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Reads everything, and decides between starting and going on.

        Args:
            files: the pictures to invert.
            settings: of the run.
            folder: to write to, held by this process.
            resume: go on from the folder's checkpoint, if it has one.
            together: inversions that run as one batch; see `inversion_steps`.
            progress: told of downloads of weights.

        Raises:
            InputError: a picture, setting or checkpoint that cannot be used; a folder that holds a
                run while `resume` is not asked for.
            RunError: the weights could not be fetched.
        """
        self.folder, self.settings, self._sources = folder, settings, files
        self._together = together
        earlier = checkpoints.unfinished(folder.path / CHECKPOINT, resume)
        chosen = settings.model_dump(mode="json")
        self._known = Resumable(folder.path, chosen, sums_of(files), earlier)
        if earlier is not None:
            self._check_length(earlier.settings["steps"])
        self._images = [read_image(file) for file in files]
        self.device = find_device(settings.device)
        dtype = precision_of(settings.precision, self.device)
        self.vit = self._known.load(self.device, dtype=dtype, progress=progress)
        self._originals = [seen(image, self.vit, settings.size).cpu() for image in self._images]
        self.subjects = subjects(settings, self.vit, len(files))
        self._files = RunFiles(folder, files, self._originals, self.subjects)
        self.first = 0
        self._losses: list[Tensor] = []
        self._frames: list[Frame] = []
        self._state: dict[str, Tensor] | None = None
        self._last: InversionStep | None = None
        if earlier is None:
            self._files.clear()
        else:
            with self._known.restoring(earlier):
                self.first, self._state = earlier.step, dict(earlier.state)
                self._losses = list(earlier.watched["losses"].unbind())
                self._frames = frames_of(earlier.watched)

    def proceed(
        self,
        *,
        watch: Callable[[InversionStep], object] = lambda step: None,
        stop: Callable[[], int | None] = lambda: None,
        checkpoint_every: float = 120.0,
    ) -> Outcome:
        """Does the steps that are left, and writes everything.

        Args:
            watch: is given the record of every step.
            stop: is asked after every step; an exit status means to stop there.
            checkpoint_every: seconds between two checkpoints; 0 for one after every step.

        Raises:
            RunError: an inversion diverged, the disk is full, or the folder has vanished.
        """
        frames_at = frame_steps(self.settings.steps, self.settings.frames)

        def taken(step: InversionStep) -> None:
            self._state, self._last = None, step
            self._losses.append(step.losses)
            if step.step in frames_at:
                self._frames.append(self._files.frame(step.pictures()))

        loop = inversion_steps(
            self._images, self.vit, self.settings, state=self._state, together=self._together
        )
        every = checkpoint_every
        return self._end(proceed(loop, taken, watch=watch, stop=stop, save=self._save, every=every))

    def _check_length(self, steps: int) -> None:
        if steps != self.settings.steps and self.settings.depends_on_length():
            raise InputError(
                f"the run in {self.folder.path} has --steps {steps}, and its noise or "
                "learning rate follows from that; give the same again, or name another folder."
            )

    def _save(self) -> None:
        """Writes a checkpoint of the step that was done last."""
        assert self._last is not None
        watched = {**frames_state(self._frames), "losses": self._table()}
        self._known.save(self.folder, self._last.step, self._last.state(), watched)

    def _end(self, status: int | None) -> Outcome:
        done, steps = self.first, self.settings.steps
        if self._last is not None:
            done = self._last.step
            if done < steps:
                self._save()
            # The record last, as it says what is there.
            pictures = [picture.cpu() for picture in self._last.pictures()]
            self._files.write(pictures, self._table(), self._frames)
            self.folder.write_record(self._record(self._last, pictures))
        if done >= steps:
            self.folder.remove(CHECKPOINT)
        grid = self.folder.path / GRID
        seconds = self._known.seconds()
        return Outcome(grid, done >= steps, done, steps, seconds, exit_status=status)

    def _record(self, last: InversionStep, pictures: Sequence[Picture]) -> dict[str, Any]:
        distances = relative_distances(
            self.vit, self.settings, self._originals, self.subjects, pictures
        )
        inversions = [
            {
                "file": file,
                "picture": str(self._sources[each.image]),
                "block": each.block,
                "seed": each.seed,
                "relative_distance": distance,
                "psnr": psnr(picture, self._originals[each.image]),
            }
            for file, each, distance, picture in zip(
                self._files.pictures, self.subjects, distances, pictures, strict=True
            )
        ]
        provenance = self.vit.provenance
        weights = asdict(provenance) if provenance is not None else {}
        done = max(1, last.step - self.first)
        return {
            "finished": last.step >= last.steps,
            "steps": last.step,
            "seconds": round(self._known.seconds(), 3),
            "seconds_per_step": last.seconds / done,
            "feature": self.settings.feature,
            "inversions": inversions,
            "pictures": [
                {"file": str(file), "sha256": self._known.inputs[f"picture {number}"]}
                for number, file in enumerate(self._sources, 1)
            ],
            "backbone": {"name": self.settings.backbone, **weights},
            "settings": self._known.settings,
            "device": describe_device(self.device),
            "precision": str(next(self.vit.layers.parameters()).dtype).removeprefix("torch."),
            "peak_memory": peak_memory(self.device),
            "versions": versions(),
        }

    def _table(self) -> Float[Tensor, "steps inversions"]:
        return torch.stack([losses.float().cpu() for losses in self._losses])
