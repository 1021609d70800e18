"""How good pictures are, in numbers.

In come a pair and a picture that somebody made of it. Out come scores, their means over sets with
intervals, and tables.
"""

MODULES = ("evaluation", "metrics", "score_table")
"""Modules that other rooms may use."""
