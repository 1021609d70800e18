"""The files that a run begins with: how large they are read, and by which sum they are known."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError
from splice.method.appearances import check_looks
from splice.method.settings import Settings
from splice.pictures.images import check_picture, read_image
from splice.pictures.masks import read_mask
from splice.running.memory import largest_size

File = str | Path


@dataclass(frozen=True)
class Pictures:
    """What a run begins with, read.

    Attributes:
        structure: the structure image, in [0, 1].
        appearances: the appearance images.
        structure_mask: 1 where the structure image is painted; None for all.
        appearance_masks: of each appearance image, 1 where its look comes from; None for all.
    """

    structure: Float[Tensor, "3 height width"]
    appearances: tuple[Float[Tensor, "3 _ _"], ...]
    structure_mask: Float[Tensor, "height width"] | None
    appearance_masks: tuple[Float[Tensor, "_ _"] | None, ...]

    @property
    def pair(self) -> tuple[Tensor, Tensor | list[Tensor]]:
        """The structure image, and the appearance image or images."""
        several = list(self.appearances)
        return self.structure, several[0] if len(several) == 1 else several

    @property
    def masks(self) -> dict[str, Any]:
        """The masks that there are, as `splice.method.transfer.Transfer` takes them."""
        found: dict[str, Any] = {}
        if self.structure_mask is not None:
            found["structure_mask"] = self.structure_mask
        if any(mask is not None for mask in self.appearance_masks):
            found["appearance_mask"] = list(self.appearance_masks)
        return found


@dataclass(frozen=True)
class Files:
    """The files of a run.

    Attributes:
        structure: of the structure image.
        appearances: of the appearance images, one at least.
        structure_mask: of the structure image's mask, if it has one.
        appearance_masks: of each appearance image's mask, if it has one.
    """

    structure: Path
    appearances: tuple[Path, ...]
    structure_mask: Path | None
    appearance_masks: tuple[Path | None, ...]

    @staticmethod
    def of(
        structure: File,
        appearance: File | Sequence[File],
        settings: Settings,
        structure_mask: File | None = None,
        appearance_mask: File | Sequence[File | None] | None = None,
    ) -> "Files":
        """The files of a run with these settings.

        Raises:
            InputError: numbers of pictures, masks and weights that do not go together, or more than
                the settings' method can do.
        """
        appearances = _listed(appearance)
        masks = [] if appearance_mask is None else _listed(appearance_mask)
        check_looks(appearances, masks, structure_mask is not None, settings)
        return Files(
            Path(structure),
            tuple(map(Path, appearances)),
            None if structure_mask is None else Path(structure_mask),
            tuple(None if m is None else Path(m) for m in masks or [None] * len(appearances)),
        )

    def read(self, size: int) -> Pictures:
        """The pictures, with short sides of at most so many pixels, and the masks at their sizes.

        Raises:
            InputError: one of them cannot be used.
        """
        structure = read_at_most(self.structure, size)
        looks = [read_at_most(file, size) for file in self.appearances]
        named = zip(self.appearance_masks, looks, self.appearances, strict=True)
        return Pictures(
            structure,
            tuple(looks),
            _mask(self.structure_mask, structure, self.structure),
            tuple(_mask(*each) for each in named),
        )

    def sums(self) -> dict[str, str]:
        """The sha256 of each file, by what it is ("structure image", "appearance mask 2")."""
        return {what: sha256(file) for what, file in self.named().items()}

    def named(self) -> dict[str, Path]:
        """The files that there are, by what they are."""
        files: dict[str, Path | None] = {
            "structure image": self.structure,
            "structure mask": self.structure_mask,
        }
        for number, pair in enumerate(zip(self.appearances, self.appearance_masks, strict=True), 1):
            suffix = "" if number == 1 else f" {number}"
            files[f"appearance image{suffix}"], files[f"appearance mask{suffix}"] = pair
        return {what: file for what, file in files.items() if file is not None}

    def record(self, sums: Mapping[str, str], pictures: Pictures) -> dict[str, Any]:
        """What a run's record says of them: the file, sum and size of each, and of its mask."""
        files = self.named()

        def entry(role: str, image: Tensor, suffix: str = "") -> dict[str, Any]:
            what, mask = f"{role} image{suffix}", f"{role} mask{suffix}"
            found: dict[str, Any] = {"file": str(files[what]), "sha256": sums[what]}
            found["size"] = list(image.shape[:0:-1])
            if mask in files:
                found["mask"] = {"file": str(files[mask]), "sha256": sums[mask]}
            return found

        looks = [
            entry("appearance", image, "" if number == 1 else f" {number}")
            for number, image in enumerate(pictures.appearances, 1)
        ]
        found = {"structure": entry("structure", pictures.structure), "appearance": looks[0]}
        return found if len(looks) == 1 else {**found, "more_appearances": looks[1:]}


def recorded_sums(record: Mapping[str, Any]) -> dict[str, str]:
    """The sums of `Files.sums` as a run's record has them.

    Raises:
        KeyError, TypeError: it is not such a record.
    """
    roles = {"structure": record["structure"], "appearance": record["appearance"]}
    more = record.get("more_appearances", [])
    roles |= {f"appearance {number}": entry for number, entry in enumerate(more, 2)}
    sums = {}
    for name, entry in roles.items():
        role, _, number = name.partition(" ")
        for kind, found in (("image", entry), ("mask", entry.get("mask"))):
            if found is not None:
                sums[f"{role} {kind} {number}".strip()] = found["sha256"]
    return sums


def _listed(one_or_several: Any) -> list[Any]:
    single = isinstance(one_or_several, (str, Path))
    return [one_or_several] if single else list(one_or_several)


def _mask(
    file: Path | None, picture: Float[Tensor, "3 height width"], name: Path
) -> Float[Tensor, "height width"] | None:
    return None if file is None else read_mask(file, picture, name)


def choose_size(structure: Path, settings: Settings, device: torch.device) -> int:
    """The short side that both pictures are cut down to, in pixels: `settings.size`, or what fits.

    Raises:
        InputError: the structure image cannot be read.
        RunError: the size is `auto`, and there is no memory for any.
    """
    if isinstance(settings.size, int):
        return settings.size
    width, height = check_picture(structure)
    return largest_size(height, width, device, settings)


def read_at_most(file: Path, size: int) -> Float[Tensor, "3 height width"]:
    """The picture, its short side cut down to `size` pixels, never enlarged."""
    return read_image(file, short_side=min(size, *check_picture(file)))


def sha256(file: Path) -> str:
    """The sha256 of a file, in hexadecimal.

    Raises:
        InputError: it cannot be read.
    """
    hasher = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                hasher.update(chunk)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    return hasher.hexdigest()
