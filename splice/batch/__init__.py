"""Many pairs: planned, spread over local processes or a Ray cluster, recorded as they end.

In come pairs and settings. Out come a folder for each pair, and events for whoever watches:

plan = plan_batch(pairs, settings, output, resume=True)
with Journal(output) as journal:
    for event in run_local(plan.tasks, workers=placements(2)):
        journal.add(event)
"""

from splice.batch.events import Began, Ended, Event, Retried, Stepped
from splice.batch.journal import Journal, read_journal
from splice.batch.local import placements, run_local
from splice.batch.pace import Pace
from splice.batch.planning import BatchPlan, Task, fetch_backbones, plan_batch, settings_of

MODULES = ("cluster", "events", "journal", "pace")
"""Modules that other rooms may use, beside the names below."""

__all__ = [
    "BatchPlan",
    "Began",
    "Ended",
    "Event",
    "Journal",
    "Pace",
    "Retried",
    "Stepped",
    "Task",
    "fetch_backbones",
    "placements",
    "plan_batch",
    "read_journal",
    "run_local",
    "settings_of",
]
