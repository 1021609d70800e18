"""Splice: semantic appearance transfer with a frozen vision transformer."""

__version__ = "0.1.0"
