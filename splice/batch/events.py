"""What happens in a batch, as plain data: every runner yields these, whoever watches reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["finished", "failed", "stopped"]


@dataclass(frozen=True)
class Began:
    """A worker has prepared a pair: `step` of its `steps` were done before."""

    name: str
    step: int
    steps: int


@dataclass(frozen=True)
class Stepped:
    """`step` steps of a pair are done; told a few times a second at most."""

    name: str
    step: int


@dataclass(frozen=True)
class Retried:
    """A pair has lost its worker, and goes on with another from its last checkpoint."""

    name: str
    reason: str


@dataclass(frozen=True)
class Ended:
    """No more is done on a pair.

    Attributes:
        name: of the pair.
        state: finished; failed, with a reason; or stopped, to be resumed.
        steps: that are done.
        seconds: of work on it, those of earlier batches included.
        reason: one sentence on what went wrong, with `state` failed.
        details: where in the program it went wrong, if that was not foreseen.
        scores: of the output, with `state` finished.
        worker: the process that ended it.
    """

    name: str
    state: State
    steps: int = 0
    seconds: float = 0.0
    reason: str | None = None
    details: str | None = None
    scores: Mapping[str, float] | None = None
    worker: str = ""


Event = Began | Stepped | Retried | Ended
