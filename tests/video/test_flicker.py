"""Flicker against a loop."""

import numpy as np
import pytest
import torch

from splice.video.flicker import Flicker, difference


def _loop(frame: np.ndarray, earlier: np.ndarray, down: int, across: int) -> float:
    """Mean absolute difference along a move by whole pixels, where it stays inside."""
    total, count = 0.0, 0
    _, height, width = frame.shape
    for y in range(height):
        for x in range(width):
            if 0 <= y + down < height and 0 <= x + across < width:
                total += float(np.abs(frame[:, y, x] - earlier[:, y + down, x + across]).sum())
                count += 3
    return total / count


@pytest.mark.parametrize(("down", "across"), [(0, 0), (2, -3), (-1, 4)])
def test_the_difference_along_a_move_is_that_of_a_loop(down, across):
    random = torch.Generator().manual_seed(1)
    frame, earlier = torch.rand(2, 3, 9, 11, generator=random).split(1)
    flow = torch.tensor([float(down), float(across)]).view(1, 2, 1, 1).expand(1, 2, 9, 11)
    wanted = _loop(frame[0].double().numpy(), earlier[0].double().numpy(), down, across)
    assert abs(float(difference(frame, earlier, flow)) - wanted) < 1e-6


def test_a_flow_that_leads_outside_counts_nothing():
    frame = torch.rand(1, 3, 4, 4)
    assert float(difference(frame, 1 - frame, torch.full((1, 2, 4, 4), 9.0))) == 0


def test_flicker_is_the_mean_over_pairs_and_told_against_the_inputs():
    still = torch.zeros(1, 2, 4, 4)
    grey = [torch.full((1, 3, 4, 4), value) for value in (0.5, 0.6, 0.4)]
    flicker = Flicker()
    assert (flicker.pairs, flicker.input, flicker.output, flicker.ratio) == (0, 0, 0, 1)
    flicker.add((grey[1], grey[0]), (grey[0], grey[0]), still)
    flicker.add((grey[2], grey[1]), (grey[2], grey[0]), still)
    assert flicker.pairs == 2
    assert flicker.input == pytest.approx((0.1 + 0.2) / 2)
    assert flicker.output == pytest.approx((0.0 + 0.1) / 2)
    assert flicker.ratio == pytest.approx(0.1 / 0.3)


def test_flicker_of_a_still_input_is_beyond_all_numbers():
    still, frame = torch.zeros(1, 2, 4, 4), torch.rand(1, 3, 4, 4)
    flicker = Flicker()
    flicker.add((frame, frame), (frame, frame), still)
    assert flicker.ratio == 1
    flicker.add((frame, frame), (frame, 1 - frame), still)
    assert flicker.ratio == float("inf")
