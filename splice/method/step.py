"""What a loop tells of one step to whoever watches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from splice.errors import RunError
from splice.method.failures import Outcome


def no_picture() -> Float[Tensor, "3 rows columns"]:
    """What a step gives that paints no pair.

    Raises:
        RunError: always.
    """
    raise RunError("this step paints no pair, so there is no picture so far.")


@dataclass(frozen=True)
class Step:
    """What a watcher learns of one step.

    Attributes:
        step: its number, from 1.
        steps: of the whole run.
        losses: each term as it is summed, weight and schedule included, and their sum "total";
            scalars on the device, which a reader waits for.
        seconds: that the step took on the host.
        learnt: whether loss and gradients were finite; if not, nothing was learnt.
        precision: of the matrix products: "float32", "bfloat16" or "float16".
        output: gives the picture so far, at the size of the structure image, in [0, 1]; to be called
            before the next step, if at all, as painting takes about as long as one. Where no pair is
            painted, it raises `RunError`.
        note: what has changed in the way that the run works, in a sentence, when it has.
    """

    step: int
    steps: int
    losses: Mapping[str, Float[Tensor, ""]]
    seconds: float
    learnt: Outcome
    precision: str
    output: Callable[[], Float[Tensor, "3 rows columns"]] = no_picture
    note: str = ""

    @property
    def skipped(self) -> bool:
        """Whether nothing was learnt, which a reader waits for."""
        return not self.learnt
