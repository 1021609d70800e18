"""How much pictures of a video flicker: what changes from one to the next beyond what moves."""

import torch
from jaxtyping import Float
from torch import Tensor

from splice.video.flow import Flow, inside, moved


def difference(
    frame: Float[Tensor, "1 3 height width"], earlier: Float[Tensor, "1 3 height width"], flow: Flow
) -> Float[Tensor, ""]:
    """The mean absolute difference of two pictures along a flow, where it stays inside.

    Args:
        frame: in [0, 1].
        earlier: likewise.
        flow: from the frame to the earlier one; 0 for a still camera.

    Returns:
        In [0, 1]; 0 where the flow leads out of the picture everywhere.
    """
    counts = inside(flow).to(frame)
    apart = (frame - moved(earlier, flow)).abs() * counts
    return apart.sum() / (3 * counts.sum()).clamp_min(1)


class Flicker:
    """The flicker of a video and of what was painted of it, pair by pair of frames.

    Attributes:
        pairs: how many were added.
    """

    def __init__(self) -> None:
        """Begins with no pair."""
        self.pairs = 0
        self._input = self._output = 0.0

    @torch.no_grad()
    def add(
        self,
        frames: tuple[Float[Tensor, "1 3 height width"], Float[Tensor, "1 3 height width"]],
        outputs: tuple[Float[Tensor, "1 3 height width"], Float[Tensor, "1 3 height width"]],
        flow: Flow,
    ) -> None:
        """One more pair of successive frames.

        Args:
            frames: the later and the earlier one, in [0, 1].
            outputs: what was painted of them.
            flow: from the later to the earlier frame.
        """
        self.pairs += 1
        self._input += float(difference(*frames, flow))
        self._output += float(difference(*outputs, flow))

    @property
    def input(self) -> float:
        """Of the frames: the mean over pairs, in [0, 1]."""
        return self._input / max(1, self.pairs)

    @property
    def output(self) -> float:
        """Of the outputs, likewise."""
        return self._output / max(1, self.pairs)

    @property
    def ratio(self) -> float:
        """The output's to the input's; 1 where neither flickers."""
        if self._input == 0:
            return 1.0 if self._output == 0 else float("inf")
        return self._output / self._input
