"""The generator with the norms of key frames."""

import torch
from tiny import generator

from splice.method.generator import UNet
from splice.method.layers import InstanceNorm
from splice.video.steady import SteadyNetwork, SteadyNorm


def _network() -> UNet:
    network = UNet(5, start="rectifier", generator=generator(0))
    torch.nn.init.normal_(network.colours.weight, std=0.5, generator=generator(1))
    return network


def _inputs(seed: int, height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.randn(1, 5, height, width, generator=generator(seed))


def test_a_key_frame_is_painted_as_it_was():
    network, frames = _network(), [_inputs(1), 2 + _inputs(2)]
    steady = SteadyNetwork(network, frames)
    for number, frame in enumerate(frames):
        shares = torch.eye(2)[number]
        with torch.no_grad():
            wanted = network(frame)
        assert torch.allclose(steady.paint(frame, shares), wanted, atol=1e-3)
    assert not any(isinstance(part, SteadyNorm) for part in network.modules())


def test_numbers_are_those_of_a_mixture():
    """As if pixels were drawn from either key frame by its share."""
    norm = SteadyNorm(InstanceNorm(2))
    frames = [torch.randn(1, 2, 6, 7, generator=generator(i)) * (i + 1) + i for i in range(2)]
    for frame in frames:
        norm(frame)
    norm.learns, norm.shares = False, torch.tensor([0.25, 0.75])
    pixels = torch.cat([frames[0], *[frames[1]] * 3], 3).double()
    x = torch.randn(1, 2, 6, 7, generator=generator(9))
    mean = pixels.mean((0, 2, 3))[:, None, None]
    variance = pixels.var((0, 2, 3), correction=0)[:, None, None]
    wanted = (x - mean) / (variance + 1e-5).sqrt()
    assert torch.allclose(norm(x), wanted.float(), atol=1e-5)


def test_what_comes_into_sight_changes_nothing_far_away():
    network, frame = _network(), _inputs(1, 64, 320)
    other = frame.clone()
    other[..., -16:] += 3
    steady = SteadyNetwork(network, [frame])
    alone = torch.ones(1)
    far = (slice(None), slice(None), slice(None), slice(0, 96))
    with torch.no_grad():
        assert (network(frame)[far] - network(other)[far]).abs().max() > 1e-3
    got, wanted = steady.paint(other, alone)[far], steady.paint(frame, alone)[far]
    assert torch.allclose(got, wanted, atol=1e-5)


def test_channels_of_one_pixel_are_as_they_were():
    network, frame = _network(), _inputs(1, 32, 32)
    steady, other = SteadyNetwork(network, [frame]), _inputs(2, 32, 32)
    painted = steady.paint(other, torch.ones(1))
    assert painted.isfinite().all() and painted.std() > 0
