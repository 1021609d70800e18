"""`--like`: a run with the settings, and perhaps the pictures, that another picture was made of."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from splice import __version__
from splice.commands.parser import changes
from splice.errors import InputError
from splice.method.settings import Settings

if TYPE_CHECKING:
    from splice.running.recipe import Recipe


def settings_like(like: Path, values: Namespace) -> tuple[Recipe, Settings]:
    """What a picture says of how it was made, and its settings, changed by the options.

    Args:
        like: the file of the picture.
        values: of the command line.

    Raises:
        InputError: the picture says nothing of it, a preset is named as well, or a setting is wrong.
    """
    from splice.running.presets import change_settings
    from splice.running.recipe import read_recipe, settings_of

    if values.preset is not None:
        raise InputError("--like and --preset both say what the settings are; give one of them.")
    recipe = read_recipe(like)
    settings = settings_of(recipe, like)
    return recipe, change_settings(settings, changes(values), str(like), are_options=True)


def files_like(recipe: Recipe, like: Path) -> dict[str, Path]:
    """The pictures and masks that a picture was made of, where they were, by what they are.

    Args:
        recipe: of the picture.
        like: its file.

    Raises:
        InputError: one of them is gone, or is not what it was.
    """
    from splice.running.inputs import sha256

    found = {}
    for what, source in recipe.sources.items():
        file = Path(source.file)
        if not file.is_file():
            raise InputError(
                f"{file}, the {what} of {like}, is not there any more; give both pictures."
            )
        now = sha256(file)
        if now != source.sha256:
            raise InputError(
                f"{file} is not the {what} of {like} any more (its sha256 is {_short(now)} "
                f"and was {_short(source.sha256)}); give both pictures."
            )
        found[what] = file
    return found


def remarks_on(recipe: Recipe, like: Path, files: Mapping[str, Path]) -> Iterator[str]:
    """What makes a run differ from the one that it is to be like, a sentence each.

    Args:
        recipe: of the picture.
        like: its file.
        files: of the run's pictures and masks, by what they are.
    """
    from splice.running.inputs import sha256

    for what, file in files.items():
        if what not in recipe.sources:
            yield f"{like} was painted without {file} as {what}, so the picture will be another."
            continue
        now, was = sha256(file), recipe.sources[what].sha256
        if now != was:
            yield (
                f"{file} is not the {what} of {like} (its sha256 is {_short(now)} and was "
                f"{_short(was)}), so the picture will be another."
            )
    for what in recipe.sources:
        if what not in files:
            yield f"{like} had the {what} {recipe.sources[what].file} as well; this run does not."
    steps = recipe.settings.get("steps")
    if recipe.steps != steps:
        yield f"{like} was written at step {recipe.steps} of {steps}; this run does them all."
    if recipe.version != __version__:
        yield (
            f"{like} was painted by Splice {recipe.version} and this is {__version__}, so the "
            "picture may be another."
        )


def _short(digest: str) -> str:
    return f"{digest[:12]}…"
