"""Where weights come from: fetched, verified, converted, cached; or read from a file."""

from splice.weights.embedded import Progress
from splice.weights.loading import Provenance, load_vit

__all__ = ["Progress", "Provenance", "load_vit"]
