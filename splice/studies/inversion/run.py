"""A run of inversions: picture files in, a folder with pictures, losses and their story out.

It can be stopped after any step, killed at any moment and resumed; on a CPU the pictures are then
the same, byte for byte, as if nothing had happened.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.precision import precision_of
from splice.backbones.weights import Progress
from splice.errors import InputError
from splice.pictures.images import read_image
from splice.running import checkpoint as checkpoints
from splice.running.checkpoint import Checkpoint
from splice.running.device import describe_device, find_device, peak_memory, versions
from splice.running.outputs import CHECKPOINT, RunFolder
from splice.studies.inversion.loop import InversionStep, inversion_steps
from splice.studies.inversion.outcome import InversionOutcome, sums_of
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
        self._begun = time.monotonic()
        self.folder, self.settings, self._sources = folder, settings, files
        self._together = together
        earlier = checkpoints.unfinished(folder.path / CHECKPOINT, resume)
        self._images = [read_image(file) for file in files]
        self.device = find_device(settings.device)
        self.vit = FrozenViT.load(
            settings.backbone,
            device=self.device,
            weights=settings.weights,
            dtype=precision_of(settings.precision, self.device),
            progress=progress,
        )
        self._inputs = sums_of(files)
        if self.vit.provenance is not None:
            self._inputs["weights"] = self.vit.provenance.sha256
        self._settings = settings.model_dump(mode="json")
        self._originals = [seen(image, self.vit, settings.size).cpu() for image in self._images]
        self.subjects = subjects(settings, self.vit, len(files))
        self._files = RunFiles(folder, files, self._originals, self.subjects)
        self.first, self._seconds_before = 0, 0.0
        self._losses: list[Tensor] = []
        self._frames: list[Tensor] = []
        self._state: dict[str, Tensor] | None = None
        self._last: InversionStep | None = None
        if earlier is None:
            self._files.clear()
        else:
            self._continue(earlier)

    def proceed(
        self,
        *,
        watch: Callable[[InversionStep], object] = lambda step: None,
        stop: Callable[[], int | None] = lambda: None,
        checkpoint_every: float = 120.0,
    ) -> InversionOutcome:
        """Does the steps that are left, and writes everything.

        Args:
            watch: is given the record of every step.
            stop: is asked after every step; an exit status means to stop there.
            checkpoint_every: seconds between two checkpoints; 0 for one after every step.

        Raises:
            RunError: an inversion diverged, the disk is full, or the folder has vanished.
        """
        frames_at = frame_steps(self.settings.steps, self.settings.frames)
        saved, status = time.monotonic(), None
        loop = inversion_steps(
            self._images, self.vit, self.settings, state=self._state, together=self._together
        )
        for step in loop:
            self._state, self._last = None, step
            self._losses.append(step.losses)
            if step.step in frames_at:
                self._frames.append(self._files.frame(step.pictures()))
            watch(step)
            status = stop()
            if status is not None:
                break
            if time.monotonic() - saved >= checkpoint_every and step.step < step.steps:
                self._save(step)
                saved = time.monotonic()
        return self._end(status)

    def _continue(self, earlier: Checkpoint) -> None:
        where = self.folder.path
        checkpoints.check_continues(earlier, self._settings, self._inputs, where)
        if earlier.settings["steps"] != self.settings.steps and self.settings.depends_on_length():
            raise InputError(
                f"the run in {where} has --steps {earlier.settings['steps']}, and its noise or "
                "learning rate follows from that; give the same again, or name another folder."
            )
        try:
            watched = earlier.watched
            self.first, self._state = earlier.step, dict(earlier.state)
            self._losses = list(watched["losses"].unbind())
            frames = (name for name in watched if name.startswith("frame "))
            in_order = sorted(frames, key=lambda name: int(name.split()[1]))
            self._frames = [watched[name] for name in in_order]
            self._seconds_before = float(watched["seconds"])
        except (KeyError, ValueError, TypeError) as error:
            raise checkpoints.fits(error, where) from error

    def _save(self, step: InversionStep) -> None:
        """Writes a checkpoint of the step that was done last."""
        watched: dict[str, Any] = {f"frame {i}": frame for i, frame in enumerate(self._frames)}
        watched |= {"losses": self._table(), "seconds": self._seconds()}
        checkpoint = Checkpoint(step.step, self._settings, self._inputs, step.state(), watched)
        with self.folder.writing():
            checkpoints.save_checkpoint(self.folder.path / CHECKPOINT, checkpoint)

    def _end(self, status: int | None) -> InversionOutcome:
        done, steps = self.first, self.settings.steps
        if self._last is not None:
            done = self._last.step
            if done < steps:
                self._save(self._last)
            # The record last, as it says what is there.
            pictures = [picture.cpu() for picture in self._last.pictures()]
            self._files.write(pictures, self._table(), self._frames)
            self.folder.write_record(self._record(self._last, pictures))
        if done >= steps:
            self.folder.remove(CHECKPOINT)
        grid = self.folder.path / GRID
        return InversionOutcome(grid, done >= steps, done, steps, self._seconds(), status)

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
            "seconds": round(self._seconds(), 3),
            "seconds_per_step": last.seconds / done,
            "feature": self.settings.feature,
            "inversions": inversions,
            "pictures": [
                {"file": str(file), "sha256": self._inputs[f"picture {number}"]}
                for number, file in enumerate(self._sources, 1)
            ],
            "backbone": {"name": self.settings.backbone, **weights},
            "settings": self._settings,
            "device": describe_device(self.device),
            "precision": str(next(self.vit.layers.parameters()).dtype).removeprefix("torch."),
            "peak_memory": peak_memory(self.device),
            "versions": versions(),
        }

    def _table(self) -> Float[Tensor, "steps inversions"]:
        return torch.stack([losses.float().cpu() for losses in self._losses])

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._begun


def frame_steps(steps: int, frames: int) -> set[int]:
    """After which steps the time lapse takes a picture: often at first, when most happens."""
    return {round(steps * (frame / frames) ** 1.5) for frame in range(1, frames + 1)} - {0}
