import pytest
import torch

from splice.noise import octave_noise


def test_octaves_have_variance_one_and_grains_of_their_size():
    noise = octave_noise(256, 192, 5, torch.Generator().manual_seed(0))[0]
    assert noise.shape == (5, 256, 192)
    for octave, channel in enumerate(noise):
        assert abs(float(channel.std()) - 1) < 0.1
        # Pixels within a grain agree, pixels two grains apart do not.
        centred = channel - channel.mean()
        apart = 2 ** (octave + 1)
        far = (centred[:, apart:] * centred[:, :-apart]).mean() / centred.var()
        near = (centred[:, 1:] * centred[:, :-1]).mean() / centred.var()
        assert abs(float(far)) < 0.2
        if octave == 0:
            assert abs(float(near)) < 0.05
        else:
            assert float(near) > 0.4


def test_channels_are_independent():
    noise = octave_noise(256, 256, 3, torch.Generator().manual_seed(1))[0].flatten(1)
    correlation = torch.corrcoef(noise)
    assert float((correlation - torch.eye(3)).abs().max()) < 0.05


@pytest.mark.parametrize("size", [(1, 1), (5, 33), (64, 7)])
def test_any_size(size):
    generator = torch.Generator().manual_seed(2)
    assert octave_noise(*size, 3, generator).shape == (1, 3, *size)


def test_no_octaves_give_no_channels():
    assert octave_noise(8, 8, 0, torch.Generator()).shape == (1, 0, 8, 8)


def test_the_seed_decides():
    first, again = (octave_noise(9, 9, 2, torch.Generator().manual_seed(3)) for _ in range(2))
    other = octave_noise(9, 9, 2, torch.Generator().manual_seed(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
