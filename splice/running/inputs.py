"""The pictures that a run begins with: how large they are read, and by which sum files are known."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from splice.errors import InputError
from splice.method.appearances import check_looks
from splice.method.settings import Settings
from splice.pictures.given import WORDS, AnyPicture, as_image, size_of
from splice.pictures.masks import read_mask
from splice.running.memory import largest_size

SomeGiven = TypeVar("SomeGiven", bound="Given")

STRUCTURE = "the structure image"
"""What messages call it, unless it is a file."""


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
class Given:
    """The pictures and masks of a run, as a program gives them.

    Attributes:
        structure: the structure image.
        appearances: the appearance images, one at least.
        structure_mask: the structure image's mask, if it has one.
        appearance_masks: each appearance image's mask, if it has one.
    """

    structure: AnyPicture
    appearances: tuple[AnyPicture, ...]
    structure_mask: AnyPicture | None
    appearance_masks: tuple[AnyPicture | None, ...]

    @classmethod
    def of(
        cls: "type[SomeGiven]",
        structure: AnyPicture,
        appearance: AnyPicture | Sequence[AnyPicture],
        settings: Settings,
        structure_mask: AnyPicture | None = None,
        appearance_mask: AnyPicture | Sequence[AnyPicture | None] | None = None,
    ) -> SomeGiven:
        """The pictures of a run with these settings.

        Raises:
            InputError: numbers of pictures, masks and weights that do not go together, or more than
                the settings' method can do.
        """
        appearances = _listed(appearance)
        masks = [] if appearance_mask is None else _listed(appearance_mask)
        check_looks(appearances, masks, structure_mask is not None, settings)
        masks = masks or [None] * len(appearances)
        return cls(structure, tuple(appearances), structure_mask, tuple(masks))

    def settled(self, settings: Settings) -> Settings:
        """The settings with a number of steps, where they are `auto`.

        Raises:
            InputError: the structure image cannot be read.
        """
        if settings.steps != "auto":
            return settings
        width, height = size_of(self.structure, STRUCTURE)
        return settings.settled(height, width)

    def read(self, size: int) -> Pictures:
        """The pictures, with short sides of at most so many pixels, and the masks at their sizes.

        Raises:
            InputError: one of them cannot be used.
        """
        structure = read_at_most(self.structure, size, STRUCTURE)
        names = [f"the {_numbered('appearance image', i)}" for i in range(len(self.appearances))]
        given = zip(self.appearances, names, strict=True)
        looks = [read_at_most(picture, size, name) for picture, name in given]
        masks = [
            None if mask is None else read_mask(mask, look, _name(picture, name))
            for mask, look, picture, name in zip(
                self.appearance_masks, looks, self.appearances, names, strict=True
            )
        ]
        return Pictures(
            structure,
            tuple(looks),
            None
            if self.structure_mask is None
            else read_mask(self.structure_mask, structure, _name(self.structure, STRUCTURE)),
            tuple(masks),
        )


@dataclass(frozen=True)
class Files(Given):
    """The files of a run."""

    structure: Path
    appearances: tuple[Path, ...]
    structure_mask: Path | None
    appearance_masks: tuple[Path | None, ...]

    def sums(self) -> dict[str, str]:
        """The sha256 of each file, by what it is ("structure image", "appearance mask 2")."""
        return {what: sha256(file) for what, file in self.named().items()}

    def named(self) -> dict[str, Path]:
        """The files that there are, by what they are."""
        files: dict[str, Path | None] = {
            "structure image": self.structure,
            "structure mask": self.structure_mask,
        }
        for number, pair in enumerate(zip(self.appearances, self.appearance_masks, strict=True)):
            files[_numbered("appearance image", number)] = pair[0]
            files[_numbered("appearance mask", number)] = pair[1]
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
    if "sources" in record:  # what a picture says of itself
        return {what: source["sha256"] for what, source in record["sources"].items()}
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
    single = isinstance(one_or_several, AnyPicture)
    return [one_or_several] if single else list(one_or_several)


def _numbered(what: str, index: int) -> str:
    return what if index == 0 else f"{what} {index + 1}"


def _name(picture: AnyPicture, name: str) -> str:
    return str(picture) if isinstance(picture, (str, Path)) else name


def choose_size(
    structure: AnyPicture, settings: Settings, device: torch.device, name: str = STRUCTURE
) -> int:
    """The short side that both pictures are cut down to, in pixels: `settings.size`, or what fits.

    Args:
        structure: the structure image.
        settings: of the run.
        device: where it computes.
        name: what messages call the structure image, unless it is a file.

    Raises:
        InputError: the structure image cannot be read.
        RunError: the size is `auto`, and there is no memory for any.
    """
    if isinstance(settings.size, int):
        return settings.size
    width, height = size_of(structure, name)
    return largest_size(height, width, device, settings)


def read_at_most(
    picture: AnyPicture, size: int, name: str = WORDS
) -> Float[Tensor, "3 height width"]:
    """The picture, its short side cut down to `size` pixels, never enlarged."""
    return as_image(picture, name, short_side=size)


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
