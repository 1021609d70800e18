"""Pairs of pictures: from two files, folders, manifests and image sets; no torch needed.

In come paths, and how to pair what they hold. Out come pairs of files, each with a name of its own.
"""

from splice.pictures.pairs.pair import Pair
from splice.pictures.pairs.pairing import Embed
from splice.pictures.pairs.planning import DIRECTIONS, PAIRINGS, Plan, pair_of_files, plan_pairs

MODULES = ("folders",)
"""Modules that others may use, beside the names below."""

__all__ = ["DIRECTIONS", "PAIRINGS", "Embed", "Pair", "Plan", "pair_of_files", "plan_pairs"]
