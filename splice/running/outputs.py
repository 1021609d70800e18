"""The folder of a run: claimed by one process at a time, every file in it whole or absent."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import filelock
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from splice.errors import InputError, RunError, SpliceError
from splice.pictures.atomic import write_atomically
from splice.pictures.encoding import write_image

PICTURE = "output.png"
PANEL = "panel.png"
RECORD = "run.json"
LOSSES_TABLE = "losses.csv"
LOSSES_FIGURE = "losses.png"
TIME_LAPSE = "progress.gif"
CHECKPOINT = "checkpoint.safetensors"
FILES = (RECORD, PICTURE, PANEL, LOSSES_TABLE, LOSSES_FIGURE, TIME_LAPSE, CHECKPOINT)
_LOCK = ".lock"

WritePicture = Callable[[Path, Tensor], None]
"""Writes a picture to a file, in one manner or another."""


class RunFolder:
    """A run's folder, held by this process until it is released (or the process ends).

    Use it as a context manager. What an earlier process was writing when it was killed is removed.

    Attributes:
        path: of the folder.
        picture: the file of the output.
    """

    def __init__(self, path: Path, *, wait: float = 0.0) -> None:
        """Create the folder where needed, and hold it.

        Args:
            path: of the folder.
            wait: seconds to wait for another run that holds it, as one that is just ending.

        Raises:
            InputError: it cannot be created or written to, or another run holds it.
        """
        self.path, self.picture = path, path / PICTURE
        self._created = not path.exists()
        with claiming(path, "run"):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(path / _LOCK)
            self._lock.acquire(timeout=wait)
        for left_over in path.glob(".splice-*.tmp"):
            with contextlib.suppress(OSError):
                left_over.unlink()

    @staticmethod
    def numbered(root: Path, name: str, *, resume: bool = False) -> "RunFolder":
        """The folder `root/name`, or the first of `name-2`, `name-3` and so on that is free.

        Args:
            root: the folder of all runs; created where needed.
            name: of this pair.
            resume: take the newest of these folders that holds an unfinished run, if any does.

        Raises:
            InputError: no folder can be created there.
        """
        names = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
        if resume:
            existing = list(itertools.takewhile(Path.is_dir, (root / name for name in names)))
            for path in reversed(existing):
                with contextlib.suppress(InputError):
                    folder = RunFolder(path)
                    if folder.has(CHECKPOINT):
                        return folder
                    folder.release()
            return RunFolder.numbered(root, name)
        for numbered in names:
            try:
                root.mkdir(parents=True, exist_ok=True)
                (root / numbered).mkdir()
            except FileExistsError:
                if not root.is_dir():
                    raise InputError(f"{root} is a file; give a folder as --output.") from None
                continue
            except OSError as error:
                raise InputError(
                    f"no folder can be made in {root} ({error.strerror}); give another --output."
                ) from error
            folder = RunFolder(root / numbered)
            folder._created = True
            return folder
        raise AssertionError("unreachable")

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *failure: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others have the folder; one that was made for this run and stayed empty goes."""
        if not self._lock.is_locked:
            return
        # Removed while it is held: whoever waits for it then sees that the file is another.
        with contextlib.suppress(OSError):
            os.unlink(self.path / _LOCK)  # noqa: PTH108
        self._lock.release()
        if self._created:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def has(self, name: str) -> bool:
        """Whether the folder holds a file of that name."""
        return (self.path / name).is_file()

    def clear(self) -> None:
        """Remove what an earlier run left, and nothing else."""
        for name in FILES:
            self.remove(name)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"{self.path / name} cannot be removed: {error.strerror}.") from error

    def write(self, name: str, content: bytes | str) -> None:
        """Write a file of the run.

        Raises:
            RunError: the folder has vanished, or the disk is full.
            InputError: the file cannot be created.
        """
        data = content.encode() if isinstance(content, str) else content
        with self.writing():
            write_atomically(self.path / name, lambda file: file.write(data))

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Within, a failure to write is told as what it is when the folder has vanished."""
        try:
            yield
        except SpliceError:
            if not self.path.is_dir():
                raise RunError(
                    f"the folder {self.path} has vanished while the run was writing to it."
                ) from None
            raise

    def show(
        self, image: Float[Tensor, "3 height width"], write: WritePicture = write_image
    ) -> None:
        """Write the output so far, in [0, 1]; see `write_picture`."""
        self.write_picture(image, write)

    def write_picture(
        self, image: Float[Tensor, "3 height width"], write: WritePicture = write_image
    ) -> None:
        """Write the output.

        Args:
            image: in [0, 1].
            write: what writes a picture to a file.
        """
        with self.writing():
            write(self.picture, image)

    def write_panel(self, images: Sequence[Image.Image]) -> None:
        """Write structure, appearance and output side by side."""
        from splice.analysis.visualize import panel

        sheet = panel(images)
        with self.writing():
            write_atomically(self.path / PANEL, lambda file: _save_png(sheet, file))

    def write_losses(
        self, table: str, curves: Mapping[str, Sequence[float]], steps: Sequence[int]
    ) -> None:
        """Write the losses of every step, as a table and as a figure."""
        from splice.analysis.visualize import loss_curves

        self.write(LOSSES_TABLE, table)
        figure = loss_curves(curves, steps=steps)
        with self.writing():
            write_atomically(
                self.path / LOSSES_FIGURE, lambda file: figure.savefig(file, format="png")
            )

    def write_time_lapse(self, frames: Sequence[Image.Image]) -> None:
        """Write the run's pictures, first to last, as an animation."""
        from splice.analysis.visualize import time_lapse

        with self.writing():
            time_lapse(frames, self.path / TIME_LAPSE)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write what was run and what came out of it; numbers that are not finite become null."""
        import json

        self.write(RECORD, json.dumps(_finite(record), indent=2, ensure_ascii=False) + "\n")

    def read_record(self) -> dict[str, Any] | None:
        """The record of the run in the folder; None where none can be read."""
        import json

        try:
            record = json.loads((self.path / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def finished_record(self) -> dict[str, Any] | None:
        """The record of the run in the folder, where one is finished there."""
        record = self.read_record()
        unfinished = record is None or self.has(CHECKPOINT) or not record.get("finished")
        return None if unfinished else record


@contextlib.contextmanager
def claiming(folder: Path, what: str) -> Iterator[None]:
    """Within, a failure to create or lock a folder is told in a sentence.

    Args:
        folder: to write to.
        what: who else may hold it, in a word.

    Raises:
        InputError: it cannot be created or written to, or is held.
    """
    try:
        yield
    except filelock.Timeout:
        raise InputError(
            f"another {what} is writing to {folder}; wait until it ends, or give another --output."
        ) from None
    except FileExistsError:
        raise InputError(f"{folder} is a file; give a folder as --output.") from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"the output folder {folder} cannot be written ({reason}); give another --output."
        ) from error


def _save_png(picture: Image.Image, file: BinaryIO) -> None:
    picture.save(file, "PNG")


def _finite(value: Any) -> Any:
    """The value as strict JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(name): _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
