"""The pair of pictures that comes with Splice."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
PLACES = (
    _PACKAGE / "samples" / "mountains",
    _PACKAGE.parent / "datasets" / "samples" / "mountains",
)
"""In the installed package, and in the source."""


def sample_pair() -> Path | None:
    """The folder of the sample pair; None where it is missing."""
    return next((place for place in PLACES if place.is_dir()), None)
