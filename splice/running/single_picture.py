"""A run of which the picture alone is wanted, in a file of the user's own name."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jaxtyping import Float
from PIL import Image
from torch import Tensor
from typing_extensions import override

from splice.errors import InputError
from splice.pictures.encoding import write_image
from splice.pictures.formats import check_writable
from splice.running.outputs import CHECKPOINT, PICTURE, RunFolder, WritePicture
from splice.running.recipe import read_recipe


class SinglePicture(RunFolder):
    """A folder beside the picture, `NAME.run`, that is there only while the run is unfinished.

    The picture takes its name when the run ends, or is stopped. Until then the picture so far is in
    the folder, with the checkpoint, and a file of that name from before stays as it is. A run that
    is stopped or killed leaves the folder to be resumed from; one that is finished removes it.
    """

    def __init__(self, picture: Path, *, depth: int = 8) -> None:
        """Create the folder where needed, and hold it.

        Args:
            picture: to be written.
            depth: bits of each of its values.

        Raises:
            InputError: a suffix of no format that can be written, no folder for it, or another run
                that writes the same picture.
        """
        check_writable(picture, depth)
        if not picture.absolute().parent.is_dir():
            raise InputError(
                f"--output {picture} cannot be written: there is no folder {picture.parent}; "
                "create it first."
            )
        super().__init__(folder_of(picture))
        self.picture = picture

    @override
    def show(
        self, image: Float[Tensor, "3 height width"], write: WritePicture = write_image
    ) -> None:
        with self.writing():
            write(self.path / PICTURE, image)

    @override
    def write_picture(
        self, image: Float[Tensor, "3 height width"], write: WritePicture = write_image
    ) -> None:
        super().write_picture(image, write)
        self.remove(PICTURE)

    @override
    def write_panel(self, images: Sequence[Image.Image]) -> None:
        """Nothing: the picture alone is wanted."""

    @override
    def write_losses(
        self, table: str, curves: Mapping[str, Sequence[float]], steps: Sequence[int]
    ) -> None:
        """Nothing: the picture alone is wanted."""

    @override
    def write_time_lapse(self, frames: Sequence[Image.Image]) -> None:
        """Nothing: the picture alone is wanted."""

    @override
    def write_record(self, record: Mapping[str, Any]) -> None:
        """Nothing: a PNG holds its recipe itself."""

    @override
    def read_record(self) -> dict[str, Any] | None:
        """What the picture itself says of its run, without seconds and scores; None if nothing."""
        try:
            recipe = read_recipe(self.picture)
        except InputError:
            return None
        finished = recipe.steps == recipe.settings.get("steps")
        return {**asdict(recipe), "finished": finished, "seconds": 0.0, "scores": None}

    @override
    def release(self) -> None:
        if self._lock.is_locked and not self.has(CHECKPOINT):
            self.remove(PICTURE)
            self._created = True
        super().release()


def folder_of(picture: Path) -> Path:
    """The folder of the unfinished run of a picture."""
    return picture.with_name(f"{picture.name}.run")
