"""How long a run will still take, when its steps are not alike."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence

REMEMBERED = 12
"""Steps of a kind whose mean is taken; machines are busy now and idle then."""

UNSEEN = 3.0
"""How much longer than the longest kind known a kind that has not come yet is taken to last."""


class TimeLeft:
    """Seconds left, from the seconds that steps of each kind took.

    Most runs begin with steps in which the output is not looked at, which are the short ones, so one
    mean over all would promise too much. A kind that has not come yet is guessed from the longest.
    """

    def __init__(self, kind: Callable[[int], str], first: int, steps: int) -> None:
        """Counts the steps of each kind.

        Args:
            kind: what a step (from 0) does, in words.
            first: steps done already.
            steps: of the run.
        """
        self._left = Counter(kind(step) for step in range(first, steps))
        self._kind = kind
        self._took: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def add(self, step: int, seconds: float) -> None:
        """Takes a step (from 1) into account, and the seconds since the one before it."""
        kind = self._kind(step - 1)
        self._left[kind] -= 1
        self._took[kind].append(seconds)

    def seconds(self) -> float | None:
        """What is left; None before the first step."""
        if not self._took:
            return None
        known = {kind: _mean(took) for kind, took in self._took.items()}
        unseen = UNSEEN * max(known.values())
        left = (count * known.get(kind, unseen) for kind, count in self._left.items() if count > 0)
        return float(sum(left))


def _mean(values: Sequence[float] | deque[float]) -> float:
    return sum(values) / len(values)
