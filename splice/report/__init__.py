"""Pages about outputs that need no server and no network: a gallery, and a blind preference sheet."""

from splice.report.gallery import write_gallery
from splice.report.runs import RunEntry, find_runs
from splice.report.sheet import write_sheet
from splice.report.tally import Preference, read_answers, tally

__all__ = [
    "Preference",
    "RunEntry",
    "find_runs",
    "read_answers",
    "tally",
    "write_gallery",
    "write_sheet",
]
