"""Which of torch's operators the seconds of a step go to."""

import torch
from torch.profiler import ProfilerActivity, profile

from splice.method.transfer import Transfer
from splice.studies.benchmark.steps import kinds_of


def operators(transfer: Transfer, rows: int) -> str:
    """A table of the operators that took longest in one step of each kind, by their own time.

    Args:
        transfer: with what is found once for its pair.
        rows: of the table, at most.
    """
    steps = transfer.steps()
    cuda = transfer.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    with profile(activities=activities) as watched:
        for kind in kinds_of(transfer):
            transfer.step = kind.steps[0]
            next(steps)
        if cuda:
            torch.cuda.synchronize(transfer.device)
    order = f"self_{'device' if cuda else 'cpu'}_time_total"
    return watched.key_averages().table(
        sort_by=order, row_limit=rows, max_name_column_width=50, top_level_events_only=False
    )
