"""The Deep Image Prior against a construction from PyTorch's own layers, and its grouped form."""

import pytest
import torch
from torch import nn

from splice.studies.inversion.prior import SMALLEST_SIDE, DeepImagePrior

CHANNELS = (16, 32, 64, 128, 128, 128)
FILTERS = (7, 7, 5, 5, 3, 3)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def unit(channels_in: int, channels_out: int, size: int, stride: int = 1) -> nn.Sequential:
    """Convolution with reflection padding, batch normalisation in training mode, LeakyReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, stride, size // 2, padding_mode="reflect"),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(0.2),
    )


class Reference(nn.Module):
    """The network as the paper describes it, one level inside the other."""

    def __init__(self, level: int = 0) -> None:
        super().__init__()
        entering = 32 if level == 0 else CHANNELS[level - 1]
        channels, size = CHANNELS[level], FILTERS[level]
        deepest = level == len(CHANNELS) - 1
        self.skip = unit(entering, 4, 1)
        self.down = nn.Sequential(
            unit(entering, channels, size, stride=2), unit(channels, channels, size)
        )
        self.inner = None if deepest else Reference(level + 1)
        self.norm = nn.BatchNorm2d(4 + (channels if deepest else CHANNELS[level + 1]))
        self.up = nn.Sequential(
            unit(self.norm.num_features, channels, size), unit(channels, channels, 1)
        )
        self.last = nn.Conv2d(channels, 3, 1) if level == 0 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        deep = self.down(x)
        if self.inner is not None:
            deep = self.inner(deep)
        deep = nn.Upsample(scale_factor=2, mode="nearest")(deep)
        deep = deep[:, :, : x.shape[2], : x.shape[3]]
        x = self.up(self.norm(torch.cat([self.skip(x), deep], 1)))
        return x if self.last is None else self.last(x).sigmoid()


def same_weights(reference: Reference, network: DeepImagePrior) -> None:
    """Copies the network's weights into the reference, part by part."""

    def copy(into: nn.Module, source: nn.Module) -> None:
        into.load_state_dict(source.state_dict(), strict=False)

    level = reference
    for skip, down, up in zip(
        network.skips, network.encoder, list(network.decoder)[::-1], strict=True
    ):
        copy(level.skip, skip)
        copy(level.down, down)
        copy(level.norm, up[0])
        copy(level.up[0], up[1])
        copy(level.up[1], up[2])
        level = level.inner
    copy(reference.last, network.last)


@pytest.mark.parametrize("size", [(96, 128), (75, 101), (SMALLEST_SIDE, 70)])
def test_draws_what_the_description_draws(size):
    network = DeepImagePrior(generators(3)).double()
    for parameter in network.parameters():  # so that no affine part is the identity
        parameter.data += 0.02 * torch.randn(
            parameter.shape, generator=generators(4)[0], dtype=torch.float64
        )
    reference = Reference().double().train()
    same_weights(reference, network)
    noise = torch.randn(1, 32, *size, dtype=torch.float64, generator=generators(5)[0])
    picture = network(noise)
    assert picture.shape == (1, 3, *size)
    torch.testing.assert_close(picture, reference(noise), atol=1e-10, rtol=0)


def test_number_of_parameters():
    units = 0
    entering = 32
    for channels, size in zip(CHANNELS, FILTERS, strict=True):
        units += entering * 4 + 3 * 4  # 1x1 skip: weights, bias, affine
        units += entering * channels * size**2 + 3 * channels
        units += channels * channels * size**2 + 3 * channels
        entering = channels
    for channels, size in zip(CHANNELS[::-1], FILTERS[::-1], strict=True):
        joined = entering + 4
        units += 2 * joined + joined * channels * size**2 + 3 * channels
        units += channels * channels + 3 * channels
        entering = channels
    units += 16 * 3 + 3
    network = DeepImagePrior(generators(0))
    assert sum(p.numel() for p in network.parameters()) == units == 2_606_763


def test_networks_side_by_side_are_the_single_ones():
    seeds = (7, 8)
    grouped = DeepImagePrior(generators(*seeds)).double()
    singles = [DeepImagePrior(generators(seed)).double() for seed in seeds]
    noise = torch.randn(2, 32, 66, 65, dtype=torch.float64, generator=generators(1)[0])
    together = grouped(noise)
    apart = torch.cat([net(noise[i : i + 1]) for i, net in enumerate(singles)])
    torch.testing.assert_close(together, apart, atol=1e-10, rtol=0)

    weights = torch.tensor([1.0, 100.0])  # a gradient that leaked would be seen
    (together.square().mean((1, 2, 3)) * weights).sum().backward()
    (apart.square().mean((1, 2, 3)) * weights).sum().backward()
    for name, parameter in grouped.named_parameters():
        expected = torch.cat([net.get_parameter(name).grad for net in singles])
        torch.testing.assert_close(parameter.grad, expected, atol=1e-9, rtol=1e-6)


def test_weights_follow_from_the_seed_alone():
    first, again = DeepImagePrior(generators(1)), DeepImagePrior(generators(1))
    other = DeepImagePrior(generators(2))
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.unique().numel() <= 1 or not torch.equal(a, c)  # norms start as the identity


def test_weights_start_uniform_within_the_inverse_root_of_the_fan_in():
    network = DeepImagePrior(generators(0))
    weight = network.encoder[0][0][0].weight  # 7x7 on 32 channels
    bound = (32 * 49) ** -0.5
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.99 * bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_autocast_changes_little():
    network = DeepImagePrior(generators(0))
    noise = torch.randn(1, 32, 96, 96, generator=generators(1)[0])
    exact = network(noise)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(noise)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    other = DeepImagePrior(generators(1))(noise)
    assert (exact - rounded).abs().mean() < 0.25 * (exact - other).abs().mean()
