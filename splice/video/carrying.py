"""What was found in a frame is carried on to the next: along the flow, and mended a little each time.

What moves takes its values along, so nothing flickers. What comes into sight has none, and takes those
that are found in the frame itself.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from splice.video.flow import Flow, moved


class Carried:
    """Maps that go with what moves.

    Attributes:
        maps: of the last frame, 1 × channels × height × width; None before the first.
        unknown: how little each of its pixels is known from earlier frames, in [0, 1].
    """

    def __init__(self, gain: float, *, sharp: bool = False) -> None:
        """Begins with nothing.

        Args:
            gain: share of what is found in a frame, in (0, 1]; the rest is what was carried to it.
            sharp: see `splice.video.flow.moved`.
        """
        self.gain, self.sharp = gain, sharp
        self.maps: Tensor | None = None
        self.unknown: Tensor | None = None

    @torch.no_grad()
    def carry(self, flow: Flow, strange: Float[Tensor, "1 1 height width"]) -> None:
        """Goes on to the next frame.

        Args:
            flow: from it to the one before.
            strange: how little of it is known from the one before, in [0, 1].
        """
        assert self.maps is not None and self.unknown is not None
        self.maps = moved(self.maps, flow, sharp=self.sharp)
        self.unknown = torch.maximum(moved(self.unknown, flow), strange)

    @torch.no_grad()
    def mend(self, found: Float[Tensor, "1 channels height width"]) -> Tensor:
        """Takes in what is found in the frame: wholly where it is unknown, elsewhere a share.

        Returns:
            The maps.
        """
        if self.maps is None or self.unknown is None:
            self.maps = found
        else:
            self.maps = torch.lerp(self.maps, found, self.unknown.clamp_min(self.gain))
        self.unknown = torch.zeros_like(found[:, :1])
        return self.maps

    @property
    def share_unknown(self) -> float:
        """The mean of `unknown`; 1 before the first frame."""
        return 1.0 if self.unknown is None else float(self.unknown.mean())
