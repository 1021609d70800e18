"""Optical flow, and maps moved along it."""

import numpy as np
import pytest
import torch
from small_video import crops

from splice.video.flow import find_flow, inside, moved, resized_flow, strangeness


def _bilinear(maps: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """A loop over pixels, in float64."""
    channels, height, width = maps.shape
    result = np.zeros(maps.shape)
    for y in range(height):
        for x in range(width):
            row = min(max(y + flow[0, y, x], 0), height - 1)
            column = min(max(x + flow[1, y, x], 0), width - 1)
            top, left = int(np.floor(row)), int(np.floor(column))
            below, right = min(top + 1, height - 1), min(left + 1, width - 1)
            a, b = row - top, column - left
            for c in range(channels):
                result[c, y, x] = (1 - a) * (
                    (1 - b) * maps[c, top, left] + b * maps[c, top, right]
                ) + a * ((1 - b) * maps[c, below, left] + b * maps[c, below, right])
    return result


def test_maps_move_as_in_a_loop():
    random = torch.Generator().manual_seed(0)
    maps = torch.rand(1, 2, 7, 9, generator=random)
    flow = 6 * torch.rand(1, 2, 7, 9, generator=random) - 3
    wanted = _bilinear(maps[0].double().numpy(), flow[0].double().numpy())
    assert np.abs(moved(maps, flow)[0].numpy() - wanted).max() < 1e-5


@pytest.mark.parametrize("sharp", [False, True])
def test_without_flow_nothing_changes_to_the_bit(sharp):
    maps = torch.randn(1, 3, 8, 5)
    assert torch.equal(moved(maps, torch.zeros(1, 2, 8, 5), sharp=sharp), maps)


def test_sharp_moves_give_back_parabolas():
    """Catmull's and Rom's polynomials are exact up to the second degree."""
    across = torch.arange(20.0).expand(12, 20)[None, None]
    down = torch.arange(12.0)[:, None].expand(12, 20)[None, None]
    flow = torch.stack([torch.full((12, 20), 0.3), torch.full((12, 20), -0.6)])[None]

    def parabola(y, x):
        return 0.1 * y * y - 0.05 * x * x + 0.2 * x * y + y

    wanted = parabola(down + 0.3, across - 0.6)
    inner = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    got = moved(parabola(down, across), flow, sharp=True)
    assert (got - wanted)[inner].abs().max() < 1e-4
    assert (moved(parabola(down, across), flow) - wanted)[inner].abs().max() > 1e-3


@pytest.mark.parametrize(("down", "across"), [(0, 1), (2, -1), (3, 5)])
def test_the_flow_of_a_moving_window_is_its_move(down, across):
    across_first = abs(across)
    frames = crops(2, 96, 128, down, across_first)
    flow = find_flow(frames[1][None], frames[0][None])
    if across < 0:
        flow = find_flow(frames[1].flip(-1)[None], frames[0].flip(-1)[None])
    inner = flow[..., 12:-12, 12:-12]
    wanted = torch.tensor([float(down), float(across)])[:, None]
    off = (inner.flatten(2)[0] - wanted).abs()
    assert off.mean() < 0.1
    assert off.median() < 0.05


def test_of_equal_frames_the_flow_is_0():
    frame = crops(1)[0][None]
    assert not find_flow(frame, frame.clone()).any()


def test_a_large_frame_is_compared_small():
    frames = crops(2, 300, 300, 0, 4)
    flow = find_flow(frames[1][None], frames[0][None])
    assert flow.shape == (1, 2, 300, 300)
    assert (flow[0, 1, 30:-30, 30:-30] - 4).abs().mean() < 0.3


def test_a_flow_of_another_size_has_its_pixels():
    flow = torch.stack([torch.full((10, 20), 2.0), torch.full((10, 20), -3.0)])[None]
    larger = resized_flow(flow, (30, 40))
    assert torch.allclose(larger[0, 0], torch.tensor(6.0))
    assert torch.allclose(larger[0, 1], torch.tensor(-6.0))


def test_what_comes_into_sight_is_strange_and_what_moves_is_not():
    frames = crops(2, 64, 86, 0, 6)
    flow = torch.zeros(1, 2, 64, 86)
    flow[:, 1] = 6
    strange = strangeness(frames[1][None], frames[0][None], flow)[0, 0]
    assert torch.equal(strange[:, 80:], torch.ones(64, 6))
    assert not strange[:, :76].any()
    assert torch.equal(inside(flow)[0, 0, 0], torch.arange(86) < 80)
    other = strangeness(1 - frames[1][None], frames[0][None], flow)[0, 0]
    assert other[:, :76].mean() > 0.5
