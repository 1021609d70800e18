"""One network for a whole domain: any structure picture painted in the look of any appearance picture.

In come a folder of pictures to learn from, then pictures and conditions (what the output should look
like: an appearance picture, its parts, or a caption). Out come a model, and pictures in one pass each.
"""

MODULES = (
    "condition",
    "conditioning",
    "conditions",
    "generator",
    "matching",
    "model",
    "model_file",
    "neighbours",
    "objective",
    "painting",
    "parallel",
    "pictures",
    "reading",
    "record",
    "run",
    "scene_scores",
    "scenes",
    "settings",
    "store",
    "text",
)
"""Modules that other rooms may use."""
