"""`--like`: a run with the settings, and perhaps the pictures, that another picture was made of."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from splice import __version__
from splice.commands.parser import changes
from splice.errors import InputError
from splice.method.settings import Settings

if TYPE_CHECKING:
    from splice.pictures.pairs import Pair
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


def pictures_like(recipe: Recipe, like: Path) -> list[Path]:
    """The structure and the appearance image that a picture was made of, where they were.

    Args:
        recipe: of the picture.
        like: its file.

    Raises:
        InputError: one of them is gone, or is not what it was.
    """
    from splice.running.inputs import sha256
    from splice.running.recipe import ROLES

    found = []
    for role in ROLES:
        source = recipe.source(role)
        file = Path(source.file)
        if not file.is_file():
            raise InputError(
                f"{file}, the {role} image of {like}, is not there any more; give both pictures."
            )
        now = sha256(file)
        if now != source.sha256:
            raise InputError(
                f"{file} is not the {role} image of {like} any more (its sha256 is {_short(now)} "
                f"and was {_short(source.sha256)}); give both pictures."
            )
        found.append(file)
    return found


def remarks_on(recipe: Recipe, like: Path, pair: Pair) -> Iterator[str]:
    """What makes a run differ from the one that it is to be like, a sentence each."""
    from splice.running.inputs import sha256
    from splice.running.recipe import ROLES

    for role in ROLES:
        file, was = getattr(pair, role), recipe.source(role).sha256
        now = sha256(file)
        if now != was:
            yield (
                f"{file} is not the {role} image of {like} (its sha256 is {_short(now)} and was "
                f"{_short(was)}), so the picture will be another."
            )
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
