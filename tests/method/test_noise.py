"""Noise of several grains: its size, deviation and how far it reaches."""

import pytest
import tiny
import torch

from splice.method.noise import GRAINS, draw_noise

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(1, 1), (2, 30), (64, 50)])
def test_it_has_the_size_and_a_channel_for_each_grain(size):
    found = draw_noise(size, tiny.generator(), CPU)
    assert found.shape == (1, len(GRAINS), *size)
    assert bool(found.isfinite().all())


def test_its_deviation_is_1_and_neighbours_are_alike_as_far_as_a_grain():
    found = draw_noise((450, 450), tiny.generator(), CPU)[0]
    assert (found.mean((1, 2))).abs().max() < 0.05
    assert (found.std((1, 2)) - 1).abs().max() < 0.05
    for grain, channel in zip(GRAINS, found, strict=True):
        beside, beyond = ((channel[:, :-far] * channel[:, far:]).mean() for far in (1, 3 * grain))
        assert beyond.abs() < 0.1
        assert abs(beside) < 0.02 if grain == 1 else beside > 0.6


def test_it_is_the_seeds():
    one, same, other = (draw_noise((9, 9), tiny.generator(seed), CPU) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
