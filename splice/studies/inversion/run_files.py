"""The files of a run of inversions: how they are called, and what is drawn in them."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from splice.analysis.visualize.curves import loss_curves
from splice.pictures.images import to_pil, write_image
from splice.running.outputs import LOSSES_FIGURE, LOSSES_TABLE, RunFolder
from splice.studies.inversion.result import inversion_grid, labels
from splice.studies.inversion.subjects import Picture, Subject

GRID = "grid.png"
FRAME_HEIGHT = 128
"""Of the pictures in the time lapse, in pixels."""

Frame = UInt8[Tensor, "3 _height _width"]


class RunFiles:
    """The files of one run but its checkpoint and its record.

    Attributes:
        pictures: the names of the inversions' files.
    """

    def __init__(
        self,
        folder: RunFolder,
        sources: Sequence[Path],
        originals: Sequence[Picture],
        inversions: Sequence[Subject],
    ) -> None:
        """Gives every inversion its name.

        Args:
            folder: to write to.
            sources: the files of the pictures to invert.
            originals: these pictures, at the size that is compared.
            inversions: of them.
        """
        self._folder, self._originals, self._inversions = folder, originals, inversions
        self._names = _distinct([file.stem for file in sources])
        several = len(sources) > 1
        self.pictures = [
            (f"{self._names[each.image]}-" if several else "")
            + f"block{each.block:02}-seed{each.seed}.png"
            for each in inversions
        ]

    def clear(self) -> None:
        """Removes what an earlier run left in the folder, and nothing else."""
        earlier = (self._folder.read_record() or {}).get("inversions") or []
        names = [each.get("file") for each in earlier if isinstance(each, dict)]
        for name in [GRID, *filter(_is_picture_file, names)]:
            self._folder.remove(name)
        self._folder.clear()

    def write(
        self,
        pictures: Sequence[Picture],
        losses: Float[Tensor, "steps inversions"],
        frames: Sequence[Frame],
    ) -> None:
        """Writes pictures, grid, losses and, if there are frames, the time lapse."""
        for name, picture in zip(self.pictures, pictures, strict=True):
            with self._folder.writing():
                write_image(self._folder.path / name, picture)
        sheet = inversion_grid(self._originals, self._inversions, pictures, self._names)
        self._write(GRID, lambda file: sheet.save(file, "PNG"))
        names = labels(self._inversions, self._names)
        self._folder.write(LOSSES_TABLE, _csv(names, losses))
        figure = loss_curves(dict(zip(names, losses.T.tolist(), strict=True)), label="distance")
        self._write(LOSSES_FIGURE, lambda file: figure.savefig(file, format="png"))
        if frames:
            self._folder.write_time_lapse([to_pil(frame.float() / 255) for frame in frames])

    def frame(self, pictures: Sequence[Picture]) -> Frame:
        """All inversions as they are now, as one small picture."""
        sheet = inversion_grid(
            self._originals, self._inversions, pictures, self._names, FRAME_HEIGHT
        )
        data = torch.frombuffer(bytearray(sheet.tobytes()), dtype=torch.uint8)
        return data.reshape(sheet.height, sheet.width, 3).permute(2, 0, 1).contiguous()

    def _write(self, name: str, save: Callable[[io.BytesIO], object]) -> None:
        buffer = io.BytesIO()
        save(buffer)
        self._folder.write(name, buffer.getvalue())


def _csv(names: Sequence[str], losses: Float[Tensor, "steps inversions"]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *names])
    for step, row in enumerate(losses.tolist(), 1):
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
