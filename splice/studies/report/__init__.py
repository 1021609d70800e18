"""Pages about outputs, which need no server and no network.

In come folders of outputs, and answers of people. Out go a gallery, a blind preference sheet, and how
often whose pictures were preferred.
"""

from splice.studies.report.gallery import write_gallery
from splice.studies.report.runs import RunEntry, find_runs
from splice.studies.report.sheet import write_sheet
from splice.studies.report.tally import Preference, read_answers, tally

MODULES = ("scored", "sheet")
"""Modules that other rooms may use, beside the names below."""

__all__ = [
    "Preference",
    "RunEntry",
    "find_runs",
    "read_answers",
    "tally",
    "write_gallery",
    "write_sheet",
]
