"""A page in the browser on which pictures are dropped, painted and compared: Splice Studio.

In come settings to begin with, and what visitors drop and turn. Out come pictures that are painted
before their eyes, one visitor at a time, and files to keep. Nothing of it outlives the server.
"""

from splice.studio.server import Studio, serving

MODULES = ("knobs",)
"""Modules that other rooms may use, beside the names below."""

__all__ = ["Studio", "serving"]
