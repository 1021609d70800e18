"""The pairs of pictures that come with Splice."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
PLACES = (_PACKAGE / "samples", _PACKAGE.parent / "datasets" / "samples")
"""In the installed package, and in the source."""


def sample_folder() -> Path | None:
    """The folder of the sample pairs, each a folder with A/ and B/; None where it is missing."""
    return next((place for place in PLACES if (place / "mountains").is_dir()), None)


def sample_pair() -> Path | None:
    """The folder of the first sample pair; None where it is missing."""
    folder = sample_folder()
    return None if folder is None else folder / "mountains"
