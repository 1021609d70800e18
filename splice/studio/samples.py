"""The project's own pairs, for whoever has no pictures at hand."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from splice.pictures import samples
from splice.pictures.images import read_image, to_pil
from splice.pictures.pairs import plan_pairs
from splice.studio.pictures import save

FOLDER = Path("datasets") / "samples"

THUMBNAIL_SIDE = 160
"""Sides of each half of a sample's small picture, in pixels."""


@dataclass(frozen=True)
class Sample:
    """A pair of the project's own.

    Attributes:
        structure: file of the structure image.
        appearance: file of the appearance image.
        thumbnail: both side by side, small.
    """

    structure: Path
    appearance: Path
    thumbnail: Path

    @property
    def name(self) -> str:
        """Of the pair."""
        return f"{self.structure.stem} in the look of {self.appearance.stem}"

    @property
    def names(self) -> tuple[str, str]:
        """Of both files, as they are typed in a copy of the repository."""
        return _from_checkout(self.structure), _from_checkout(self.appearance)


def sample_folder() -> Path | None:
    """Where the samples are: in the copy of the repository around, or where Splice has them."""
    here = Path.cwd() / FOLDER
    return here if here.is_dir() else samples.sample_folder()


def find_samples(root: Path | None, folder: Path) -> list[Sample]:
    """The pairs in the folders of a folder, with small pictures written for the page.

    Args:
        root: that holds a folder with A/ and B/ for each pair, or None for no samples.
        folder: for the small pictures.
    """
    if root is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Sample] = []
    for each in sorted(root.iterdir()):
        if not (each / "A").is_dir():
            continue
        for pair in plan_pairs(each).pairs:
            small = folder / f"{each.name}-{len(found)}.jpg"
            save(_side_by_side(pair.structure, pair.appearance), small)
            found.append(Sample(pair.structure, pair.appearance, small))
    return found


def _from_checkout(file: Path) -> str:
    root = next((up for up in file.parents if file.is_relative_to(up / FOLDER)), None)
    return str(file) if root is None else file.relative_to(root).as_posix()


def _side_by_side(*files: Path) -> Image.Image:
    """The middle squares of pictures, in a row."""
    row = Image.new("RGB", (THUMBNAIL_SIDE * len(files), THUMBNAIL_SIDE))
    for index, file in enumerate(files):
        picture = to_pil(read_image(file, short_side=THUMBNAIL_SIDE))
        square = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        row.paste(ImageOps.fit(picture, square), (index * THUMBNAIL_SIDE, 0))
    return row
