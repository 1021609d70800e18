"""Where everything in a frame was in the frame before: dense optical flow, and moving maps along it.

The flow is that of Lucas and Kanade ("An Iterative Image Registration Technique", IJCAI 1981), in
windows around all pixels, from coarse to fine. It needs no weights, and is exactly 0 where nothing
changes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splice.method.objective import brightness
from splice.pictures.guided_filter import window_mean

SIDE = 256
"""Short side, in pixels, at which larger frames are compared."""

COARSEST = 16
"""Shortest short side of the pyramid, in pixels."""

ROUNDS = 3
"""How often the flow is mended at each size."""

RADIUS = 4
"""Of the windows, in pixels."""

FLAT = 1e-5
"""Squared slope of brightness that is added to each window's: a bare wall moves as its surroundings."""

KNOWN, UNKNOWN = 0.04, 0.12
"""Difference of colours up to which a moved pixel is trusted, and from which it is not at all."""

AROUND = 2
"""Radius of the windows in which that difference is taken, in pixels."""

Flow = Float[Tensor, "1 2 height width"]


@torch.no_grad()
def find_flow(
    frame: Float[Tensor, "1 3 height width"], earlier: Float[Tensor, "1 3 height width"]
) -> Flow:
    """How far down and across, in pixels, each pixel of a frame lies in an earlier one.

    Args:
        frame: in [0, 1].
        earlier: likewise, of the same size.
    """
    size = (frame.shape[-2], frame.shape[-1])
    pair = brightness(torch.cat([_shrunk(frame, SIDE), _shrunk(earlier, SIDE)]))
    flow = pair.new_zeros(1, 2, *_sides(pair, COARSEST))
    for side in _pyramid(min(pair.shape[-2:])):
        now, before = _shrunk(pair, side).split(1)
        flow = resized_flow(flow, (now.shape[-2], now.shape[-1]))
        for _ in range(ROUNDS):
            flow = flow + _step(now, moved(before, flow))
            flow = _median(flow)
    return resized_flow(flow, size)


def resized_flow(flow: Float[Tensor, "1 2 _ _"], size: tuple[int, int]) -> Flow:
    """A flow for frames of another size, in their pixels."""
    rows, columns = flow.shape[-2:]
    if (rows, columns) == size:
        return flow
    scale = flow.new_tensor([size[0] / rows, size[1] / columns])[:, None, None]
    return F.interpolate(flow, size=size, mode="bilinear") * scale


def moved(
    maps: Float[Tensor, "1 channels height width"], flow: Flow, *, sharp: bool = False
) -> Float[Tensor, "1 channels height width"]:
    """Maps of the earlier frame, moved to where things are now; beyond the border, the border's.

    A flow of 0 leaves every value as it is, to the bit.

    Args:
        maps: of the earlier frame.
        flow: from the frame to the earlier one.
        sharp: interpolate by cubic polynomials (Catmull and Rom), which blur less than straight lines.
    """
    height, width = maps.shape[-2:]
    down = torch.arange(height, device=maps.device)[:, None] + flow[0, 0]
    across = torch.arange(width, device=maps.device) + flow[0, 1]
    row, rows = _taps(down, height, sharp)
    column, columns = _taps(across, width, sharp)
    flat, result = maps[0].flatten(1), torch.zeros_like(maps)
    for y, by_row in zip(row, rows, strict=True):
        for x, by_column in zip(column, columns, strict=True):
            values = flat[:, (y * width + x).flatten()].view_as(maps)
            result.addcmul_(values, by_row * by_column)
    return result


@torch.no_grad()
def strangeness(
    frame: Float[Tensor, "1 3 height width"], earlier: Float[Tensor, "1 3 height width"], flow: Flow
) -> Float[Tensor, "1 1 height width"]:
    """How little each pixel of a frame is known from the earlier one, in [0, 1].

    It is 1 where the flow leads out of the picture, or to another colour.

    Args:
        frame: in [0, 1].
        earlier: likewise.
        flow: from the frame to the earlier one.
    """
    apart = (frame - moved(earlier, flow)).abs().mean(1, keepdim=True)
    apart = window_mean(apart, min(AROUND, (min(frame.shape[-2:]) - 1) // 2))
    strange = ((apart - KNOWN) / (UNKNOWN - KNOWN)).clamp(0, 1)
    return torch.where(inside(flow), strange, torch.ones_like(strange))


def inside(flow: Flow) -> Tensor:
    """Where a flow leads to a place within the picture, half a pixel of border included."""
    height, width = flow.shape[-2:]
    down = torch.arange(height, device=flow.device)[:, None] + flow[:, :1]
    across = torch.arange(width, device=flow.device) + flow[:, 1:]
    return (down >= -0.5) & (down <= height - 0.5) & (across >= -0.5) & (across <= width - 0.5)


def _step(
    now: Float[Tensor, "1 1 height width"], before: Float[Tensor, "1 1 height width"]
) -> Flow:
    """What mends a flow, given the frame before moved along it; at most a pixel each way."""
    middle = (now + before) / 2
    down, across = _slopes(middle)
    change = before - now
    radius = min(RADIUS, (min(now.shape[-2:]) - 1) // 2)
    products = torch.cat(
        [down * down, down * across, across * across, down * change, across * change], 1
    )
    dd, da, aa, dc, ac = window_mean(products, radius).split(1, 1)
    dd, aa = dd + FLAT, aa + FLAT
    determinant = dd * aa - da * da
    step = torch.cat([da * ac - aa * dc, da * dc - dd * ac], 1) / determinant
    return step.clamp(-1, 1)


def _slopes(image: Float[Tensor, "1 1 height width"]) -> tuple[Tensor, Tensor]:
    """Central differences, down and across."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return down, (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2


def _median(flow: Flow) -> Flow:
    """The medians of windows of 3×3 pixels, which keep the outlines of what moves."""
    padded = F.pad(flow, (1, 1, 1, 1), mode="replicate")
    windows = F.unfold(padded.movedim(1, 0), 3).movedim(1, 0)
    return windows.median(0).values.view_as(flow)


def _taps(places: Tensor, side: int, sharp: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Whole places around some places along a side, and how much each counts."""
    places = places.clamp(0, side - 1)
    first = places.floor()
    t = places - first
    first = first.long()
    if sharp:
        steps = (-1, 0, 1, 2)
        weights = [
            ((2 - t) * t - 1) * t / 2,
            ((3 * t - 5) * t * t + 2) / 2,
            ((4 - 3 * t) * t + 1) * t / 2,
            (t - 1) * t * t / 2,
        ]
    else:
        steps, weights = (0, 1), [1 - t, t]
    return [(first + step).clamp(0, side - 1) for step in steps], weights


def _pyramid(side: int) -> list[int]:
    """Short sides from coarse to fine, each twice as large as the one before."""
    sides = [side]
    while sides[0] >= 2 * COARSEST:
        sides.insert(0, sides[0] // 2)
    return sides


def _sides(image: Tensor, side: int) -> tuple[int, int]:
    """Rows and columns once the short side has so many pixels, if it has more."""
    height, width = image.shape[-2:]
    share = min(1.0, side / min(height, width))
    return max(1, round(height * share)), max(1, round(width * share))


def _shrunk(image: Tensor, side: int) -> Tensor:
    size = _sides(image, side)
    return image if tuple(image.shape[-2:]) == size else F.interpolate(image, size, mode="area")
