"""Noise of several grains."""

import pytest
import tiny
import torch

from splice.noise import octave_noise


@pytest.mark.parametrize("size", [(64, 100), (33, 17)])
def test_channels_of_growing_grain(size):
    noise = octave_noise(*size, 4, tiny.generator(1))
    assert noise.shape == (1, 4, *size)
    steps = []
    for octave in range(4):
        channel = noise[0, octave]
        assert float(channel.std()) == pytest.approx(1, rel=0.35)
        steps.append(float((channel[:, 1:] - channel[:, :-1]).square().mean()))
    # Neighbours are independent in the finest, and closer the coarser the grain.
    assert steps[0] == pytest.approx(2, rel=0.15)
    assert steps == sorted(steps, reverse=True)
    assert steps[3] < 0.2
    flat = noise[0].flatten(1)
    correlation = torch.corrcoef(flat) - torch.eye(4)
    assert float(correlation.abs().max()) < 0.35


def test_no_octaves_are_no_channels():
    assert octave_noise(5, 7, 0, tiny.generator()).shape == (1, 0, 5, 7)


def test_the_generator_decides():
    first, same, other = (octave_noise(9, 9, 3, tiny.generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
