"""Pictures of what the features hold and of how a run went, which notebooks display as they are.

In come pictures, features and losses. Out go maps of principal components and similarity,
correspondences, curves, panels and time lapses.
"""

from splice.analysis.visualize.correspondences import (
    Matches,
    draw_matches,
    mutual_nearest_neighbours,
    warp_by_nearest,
)
from splice.analysis.visualize.curves import loss_curves
from splice.analysis.visualize.grids import labelled_grid, panel
from splice.analysis.visualize.maps import (
    feature_map,
    heat_map,
    mark_point,
    over_picture,
    patch_at,
    similarity_maps,
)
from splice.analysis.visualize.overview import Look, look
from splice.analysis.visualize.pca import (
    centred,
    pca_colours,
    self_similarity_rows,
    shared_colours,
)
from splice.analysis.visualize.time_lapse import time_lapse

MODULES = ("curves", "grids", "overview", "maps")
"""Modules that other rooms may use, beside the names below."""

__all__ = [
    "Look",
    "Matches",
    "centred",
    "draw_matches",
    "feature_map",
    "heat_map",
    "labelled_grid",
    "look",
    "loss_curves",
    "mark_point",
    "mutual_nearest_neighbours",
    "over_picture",
    "panel",
    "patch_at",
    "pca_colours",
    "self_similarity_rows",
    "shared_colours",
    "similarity_maps",
    "time_lapse",
    "warp_by_nearest",
]
