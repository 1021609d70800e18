"""The frozen vision transformers and what they see.

In comes the name of a model, whose weights are found, verified and kept, and pictures in [0, 1]. Out go
features: [CLS] and patch tokens, keys, queries and values of any block, and their self-similarity.
"""

MODULES = (
    "compiling",
    "features",
    "fixed_order",
    "frozen_vit",
    "machine",
    "patch_grid",
    "precision",
    "registry",
    "weights",
)
"""Modules that other rooms may use."""
