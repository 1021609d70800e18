"""Pairs of pictures: from two files, folders, manifests and image sets; no torch needed."""

from splice.pictures.pairs.pair import Pair
from splice.pictures.pairs.pairing import Embed
from splice.pictures.pairs.planning import DIRECTIONS, PAIRINGS, Plan, pair_of_files, plan_pairs

__all__ = ["DIRECTIONS", "PAIRINGS", "Embed", "Pair", "Plan", "pair_of_files", "plan_pairs"]
