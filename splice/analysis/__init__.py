"""Looking at pictures and features: `scores` in numbers, `visualize` in pictures.

In come pictures, features of the frozen transformer and losses. Out go scores with their means and
tables, and maps, correspondences, curves and time lapses.
"""

MODULES = ("scores", "visualize")
"""Sub-packages that other rooms may use, by what each lists itself."""
