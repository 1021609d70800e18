"""Which frames of a video are looked at closely: few, and so that no frame is far from all of them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

THUMBNAIL = 12
"""Sides of the small pictures by which frames are compared, in pixels."""

ALIKE = 0.02
"""Mean absolute difference of colours up to which a frame needs no key frame of its own."""


def thumbnail(frame: Float[Tensor, "3 height width"]) -> Float[Tensor, "3 rows columns"]:
    """A frame so small that thousands fit into memory."""
    return F.interpolate(frame[None], size=(THUMBNAIL, THUMBNAIL), mode="area")[0]


def choose_key_frames(
    thumbnails: Sequence[Float[Tensor, "3 rows columns"]], most: int
) -> list[int]:
    """Numbers of the key frames, in the order of the video.

    The first is the frame that is nearest to all others. Each further one is the frame that is farthest
    from those there are (Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985),
    until every frame is like one of them.

    Args:
        thumbnails: of all frames, one at least, in [0, 1].
        most: key frames, at least 1.
    """
    frames = torch.stack(list(thumbnails)).flatten(1)
    mean = frames.mean(0)
    chosen = [int((frames - mean).abs().mean(1).argmin())]
    far = (frames - frames[chosen[0]]).abs().mean(1)
    while len(chosen) < most and float(far.max()) > ALIKE:
        chosen.append(int(far.argmax()))
        far = torch.minimum(far, (frames - frames[chosen[-1]]).abs().mean(1))
    return sorted(chosen)
