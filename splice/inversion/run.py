"""A run of inversions: picture files in, a folder with pictures, losses and their story out.

It can be stopped after any step, killed at any moment and resumed; on a CPU the pictures are then
the same, byte for byte, as if nothing had happened.
"""

import csv
import io
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.precision import precision_of
from splice.backbones.weights import Progress
from splice.errors import InputError
from splice.inversion.loop import InversionStep, inversion_steps, seen, subjects
from splice.inversion.result import inversion_grid, labels, psnr, relative_distances
from splice.inversion.settings import InversionSettings
from splice.pictures.images import read_image, to_pil, write_image
from splice.running import checkpoint as checkpoints
from splice.running.checkpoint import Checkpoint
from splice.running.device import describe_device, find_device, peak_memory, versions
from splice.running.inputs import sha256
from splice.running.outputs import CHECKPOINT, LOSSES_FIGURE, LOSSES_TABLE, RunFolder
from splice.visualize.curves import loss_curves

GRID = "grid.png"
FRAME_HEIGHT = 128
"""Of the pictures in the time lapse, in pixels."""


@dataclass(frozen=True)
class InversionOutcome:
    """How a run of inversions ended.

    Attributes:
        grid: the file with all inversions beside their originals.
        finished: whether all steps are done; if not, the run can be resumed.
        step: steps done, of `steps`.
        steps: that the run was asked for.
        seconds: that the run took, those before it was resumed included.
        exit_status: with which the run was asked to stop, if it was.
    """

    grid: Path
    finished: bool
    step: int
    steps: int
    seconds: float
    exit_status: int | None = None


def earlier_outcome(
    folder: RunFolder, files: Sequence[Path], settings: InversionSettings
) -> InversionOutcome | None:
    """The outcome of a finished run of these pictures and settings in the folder, if there is one.

    Raises:
        InputError: the folder holds a finished run of other pictures or with other settings.
    """
    record = folder.read_record()
    if record is None or folder.has(CHECKPOINT) or not record.get("finished"):
        return None
    try:
        old = {f"picture {i + 1}": each["sha256"] for i, each in enumerate(record["pictures"])}
        old_settings, steps, seconds = record["settings"], record["steps"], record["seconds"]
    except (KeyError, TypeError):
        return None
    now = {f"picture {i + 1}": sha256(file) for i, file in enumerate(files)}
    checkpoints.refuse_differences(
        old_settings, settings.model_dump(mode="json"), old, now, folder.path
    )
    if settings.steps != steps:
        raise InputError(
            f"the run in {folder.path} is finished after {steps} steps, and finished runs keep no "
            "checkpoint to go on from; name another folder for a longer one."
        )
    return InversionOutcome(folder.path / GRID, True, steps, steps, seconds)


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
        self.folder, self.settings, self._files = folder, settings, files
        self._together = together
        self._names = _distinct([file.stem for file in files])
        earlier = self._earlier(resume)
        self._images = [read_image(file) for file in files]
        self.device = find_device(settings.device)
        self.vit = FrozenViT.load(
            settings.backbone,
            device=self.device,
            weights=Path(settings.weights).expanduser() if settings.weights else None,
            dtype=precision_of(settings.precision, self.device),
            progress=progress,
        )
        self._inputs = {f"picture {i + 1}": sha256(file) for i, file in enumerate(files)}
        if self.vit.provenance is not None:
            self._inputs["weights"] = self.vit.provenance.sha256
        self._settings = settings.model_dump(mode="json")
        self._originals = [seen(image, self.vit, settings.size).cpu() for image in self._images]
        self.subjects = subjects(settings, self.vit, len(files))
        self.first, self._seconds_before = 0, 0.0
        self._losses: list[Tensor] = []
        self._frames: list[Tensor] = []
        self._state: dict[str, Tensor] | None = None
        self._last: InversionStep | None = None
        if earlier is None:
            self._clear()
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
                self._frames.append(self._frame(step))
            watch(step)
            status = stop()
            if status is not None:
                break
            if time.monotonic() - saved >= checkpoint_every and step.step < step.steps:
                self._save(step)
                saved = time.monotonic()
        return self._end(status)

    def _earlier(self, resume: bool) -> Checkpoint | None:
        if self.folder.has(CHECKPOINT):
            if resume:
                return checkpoints.load_checkpoint(self.folder.path / CHECKPOINT)
            raise InputError(
                f"{self.folder.path} holds an unfinished run; add --resume to go on with it, "
                f"or give another --output, or delete its {CHECKPOINT}."
            )
        return None

    def _clear(self) -> None:
        """Removes what an earlier run left in the folder, and nothing else."""
        earlier = (self.folder.read_record() or {}).get("inversions") or []
        names = [each.get("file") for each in earlier if isinstance(each, dict)]
        for name in [GRID, *filter(_is_picture_file, names)]:
            self.folder.remove(name)
        self.folder.clear()

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
            frames = sorted((k for k in watched if k.startswith("frame ")), key=_number)
            self._frames = [watched[name] for name in frames]
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
        done = self._last.step if self._last is not None else self.first
        steps, grid = self.settings.steps, self.folder.path / GRID
        if self._last is not None:
            if done < steps:
                self._save(self._last)
            self._write(self._last)
        if done >= steps:
            self.folder.remove(CHECKPOINT)
        return InversionOutcome(grid, done >= steps, done, steps, self._seconds(), status)

    def _write(self, last: InversionStep) -> None:
        """Every file of the run but the checkpoint; the record last, as it says what is there."""
        pictures = [picture.cpu() for picture in last.pictures()]
        originals = self._originals
        files = self._picture_files()
        for file, picture in zip(files, pictures, strict=True):
            with self.folder.writing():
                write_image(self.folder.path / file, picture)
        sheet = inversion_grid(originals, self.subjects, pictures, self._names)
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        self.folder.write(GRID, buffer.getvalue())
        names = labels(self.subjects, self._names)
        table = self._table()
        self.folder.write(LOSSES_TABLE, _csv(names, table))
        figure = loss_curves(dict(zip(names, table.T.tolist(), strict=True)), label="distance")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        self.folder.write(LOSSES_FIGURE, buffer.getvalue())
        if self._frames:
            self.folder.write_time_lapse([to_pil(frame.float() / 255) for frame in self._frames])
        distances = relative_distances(self.vit, self.settings, originals, self.subjects, pictures)
        inversions = [
            {
                "file": file,
                "picture": str(self._files[each.image]),
                "block": each.block,
                "seed": each.seed,
                "relative_distance": distance,
                "psnr": psnr(picture, originals[each.image]),
            }
            for file, each, distance, picture in zip(
                files, self.subjects, distances, pictures, strict=True
            )
        ]
        self.folder.write_record(self._record(last, inversions))

    def _record(self, last: InversionStep, inversions: list[dict[str, Any]]) -> dict[str, Any]:
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
                {"file": str(file), "sha256": self._inputs[f"picture {i + 1}"]}
                for i, file in enumerate(self._files)
            ],
            "backbone": {"name": self.settings.backbone, **weights},
            "settings": self._settings,
            "device": describe_device(self.device),
            "precision": str(next(self.vit.layers.parameters()).dtype).removeprefix("torch."),
            "peak_memory": peak_memory(self.device),
            "versions": versions(),
        }

    def _picture_files(self) -> list[str]:
        several = len(self._files) > 1
        return [
            (f"{self._names[each.image]}-" if several else "")
            + f"block{each.block:02}-seed{each.seed}.png"
            for each in self.subjects
        ]

    def _frame(self, step: InversionStep) -> Tensor:
        """All inversions as they are now, as one small picture of 8 bits, 3 x height x width."""
        sheet = inversion_grid(
            self._originals, self.subjects, step.pictures(), self._names, FRAME_HEIGHT
        )
        data = torch.frombuffer(bytearray(sheet.tobytes()), dtype=torch.uint8)
        return data.reshape(sheet.height, sheet.width, 3).permute(2, 0, 1).contiguous()

    def _table(self) -> Tensor:
        return torch.stack([losses.float().cpu() for losses in self._losses])

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._begun


def frame_steps(steps: int, frames: int) -> set[int]:
    """After which steps the time lapse takes a picture: often at first, when most happens."""
    return {round(steps * (frame / frames) ** 1.5) for frame in range(1, frames + 1)} - {0}


def _csv(names: Sequence[str], table: Tensor) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *names])
    for step, row in enumerate(table.tolist(), 1):
        writer.writerow([step, *(f"{value:.8g}" for value in row)])
    return text.getvalue()


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where one comes twice."""
    return [
        name if names.count(name) == 1 else f"{name}-{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def _is_picture_file(name: object) -> bool:
    """Whether a name in a record is one of ours: no path into other folders is followed."""
    return isinstance(name, str) and re.fullmatch(r"[^/\\]*block\d+-seed\d+\.png", name) is not None


def _number(name: str) -> int:
    return int(name.split()[1])
