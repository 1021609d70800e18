"""Pairs of pictures: from two files, folders, manifests and image sets; no torch needed."""

from splice.pairs.pair import Pair
from splice.pairs.pairing import Embed
from splice.pairs.planning import DIRECTIONS, PAIRINGS, Plan, pair_of_files, plan_pairs

__all__ = ["DIRECTIONS", "PAIRINGS", "Embed", "Pair", "Plan", "pair_of_files", "plan_pairs"]
