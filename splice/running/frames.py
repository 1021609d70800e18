"""The pictures that a time lapse shows: when they are taken, and how checkpoints hold them."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

FRAMES = 32
"""About how many there are of a run of one pair."""

Frame = UInt8[Tensor, "3 _ _"]


def frame_steps(steps: int, frames: int = FRAMES) -> set[int]:
    """After which steps a picture is taken: often at first, when most happens."""
    return {round(steps * (frame / frames) ** 1.5) for frame in range(1, frames + 1)} - {0}


def frames_state(frames: Sequence[Frame]) -> dict[str, Frame]:
    """The frames by name, for a checkpoint."""
    return {f"frame {number}": frame for number, frame in enumerate(frames)}


def frames_of(watched: Mapping[str, Any]) -> list[Frame]:
    """The frames that `frames_state` has named, in their order, among others of a checkpoint."""
    count = sum(name.startswith("frame ") for name in watched)
    return [watched[f"frame {number}"] for number in range(count)]
