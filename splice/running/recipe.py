"""What a picture was made of: written into its PNG, and read back to make it again.

It holds no time and no name of a machine, so that the same run gives the same bytes. Paths are as
they were given.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from splice import __version__
from splice.errors import InputError
from splice.method.settings import Settings
from splice.pictures.png_text import read_text, with_text
from splice.running.presets import explanation

KEYWORD = "Splice"
"""Under which a PNG holds its recipe."""

NEEDED = ("structure image", "appearance image")
"""What every run begins with; masks and further appearance images may join them."""


@dataclass(frozen=True)
class Source:
    """A picture that a run began with: its file as it was given, and the sha256 of the file."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """All that a run needs to be done again.

    Attributes:
        version: of Splice.
        sources: pictures and masks, by what they are ("structure image", "appearance mask 2").
        settings: as JSON-able values by section.
        steps: that were done; fewer than the settings' in a picture so far.
    """

    version: str
    sources: Mapping[str, Source]
    settings: Mapping[str, Any]
    steps: int

    def texts(self) -> dict[str, str]:
        """The words to write into a PNG: the recipe as JSON, in ASCII."""
        return {KEYWORD: json.dumps(asdict(self), separators=(",", ":"))}


def recipe_of(
    files: Mapping[str, Path], sums: Mapping[str, str], settings: Settings, steps: int
) -> Recipe:
    """The recipe of a picture that is written now.

    Args:
        files: of pictures and masks, by what they are.
        sums: their sha256, likewise.
        settings: of the run.
        steps: that are done.
    """
    sources = {what: Source(str(file), sums[what]) for what, file in files.items()}
    return Recipe(__version__, sources, settings.model_dump(mode="json"), steps)


def read_recipe(file: Path) -> Recipe:
    """The recipe that a picture holds.

    Raises:
        InputError: it is no picture, holds none, or one that cannot be read.
    """
    text = read_text(file, KEYWORD)
    if text is None:
        raise InputError(
            f"{file} does not say how it was made; give a PNG that Splice wrote, as it wrote it."
        )
    try:
        values = json.loads(text)
        sources = {what: Source(**each) for what, each in values["sources"].items()}
        words = [
            values["version"],
            *(word for each in sources.values() for word in vars(each).values()),
        ]
        if not all(isinstance(word, str) for word in words) or not sources.keys() >= set(NEEDED):
            raise TypeError
        settings, steps = values["settings"], values["steps"]
        if not isinstance(settings, dict) or not isinstance(steps, int):
            raise TypeError
        return Recipe(values["version"], sources, settings, steps)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"what {file} says of how it was made is damaged; give another PNG of Splice."
        ) from error


def settings_of(recipe: Recipe, file: Path) -> Settings:
    """The settings of a recipe.

    Args:
        recipe: that was read.
        file: from which, for messages.

    Raises:
        InputError: a setting that this version does not have, or a value that it cannot take.
    """
    try:
        return Settings.model_validate(recipe.settings)
    except ValidationError as error:
        raise InputError(explanation(error, {}, file)) from None


def with_sources(png: bytes, files: Mapping[str, Path]) -> bytes:
    """The same PNG with other paths in its recipe; without one, as it is.

    Args:
        png: of a run.
        files: of pictures and masks, by what they are.
    """
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(png), formats=("PNG",)) as picture:
        text = picture.info.get(KEYWORD)
    if text is None:
        return png
    values = json.loads(text)
    for what, source in values["sources"].items():
        source["file"] = str(files[what])
    return with_text(png, KEYWORD, json.dumps(values, separators=(",", ":")))
