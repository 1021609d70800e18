"""The U-Net against the paper's network, built anew with batch norm and biases."""

import math
from typing import Literal

import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splice.method.generator import UNet, parameter_count
from splice.method.layers import InstanceNorm, MirrorBorder, undoubled


class PaperNetwork(nn.Module):
    """The paper's network as its authors describe it: batch norm, and biases everywhere."""

    def __init__(self, inputs: int = 3, skip: int = 4) -> None:
        super().__init__()
        widths = (16, 32, 64, 128, 128)
        before = (inputs, *widths[:-1])
        self.down = nn.ModuleList(
            nn.ModuleList([self._conv(a, b, 3, 2), self._conv(b, b, 3)])
            for a, b in zip(before, widths, strict=True)
        )
        self.skip = nn.ModuleList(self._conv(a, skip, 1) for a in before)
        below = (128, 128, 128, 64, 32)
        self.norm = nn.ModuleList(nn.BatchNorm2d(n + skip) for n in below)
        self.up = nn.ModuleList(
            nn.ModuleList([self._conv(a + skip, b, 3), self._conv(b, b, 1)])
            for a, b in zip(below, reversed(widths), strict=True)
        )
        self.last = nn.Conv2d(16, 3, 1)

    @staticmethod
    def _conv(a: int, b: int, kernel: int, stride: int = 1) -> nn.Sequential:
        convolution = nn.Conv2d(a, b, kernel, stride, kernel // 2, padding_mode="reflect")
        return nn.Sequential(convolution, nn.BatchNorm2d(b), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for (first, second), skip in zip(self.down, self.skip, strict=True):
            skips.append(skip(x))
            x = second(first(x))
        for norm, (first, second) in zip(self.norm, self.up, strict=True):
            x = nn.Upsample(scale_factor=2, mode="bilinear")(x)
            x = second(first(norm(torch.cat([x, skips.pop()], 1))))
        return torch.sigmoid(self.last(x))


def painting(
    inputs: int = 3, start: Literal["paper", "rectifier"] = "rectifier", **options
) -> UNet:
    """A network whose last layer is not the zeros that it starts from, so that all of it shows."""
    network = UNet(inputs, start=start, **options, generator=tiny.generator(1))
    nn.init.normal_(network.colours.weight, 0.0, 0.5, tiny.generator(3))
    return network


def layers(*parts: nn.Module) -> list[nn.Module]:
    """Convolutions and norms in the order of the parts."""
    kinds = (nn.Conv2d, InstanceNorm, nn.BatchNorm2d)
    return [module for part in parts for module in part.modules() if isinstance(module, kinds)]


@torch.no_grad()
def copied(ours: UNet, theirs: PaperNetwork) -> None:
    """Weights of ours into theirs, which has biases as well: drawn at random before a norm."""
    random = tiny.generator(7)
    up = [part for pair in zip(theirs.norm, theirs.up, strict=True) for part in pair]
    mine = layers(ours.encoders, ours.skips, ours.decoders, ours.colours)
    other = layers(theirs.down, theirs.skip, *up, theirs.last)
    for a, b in zip(mine, other, strict=True):
        if not isinstance(a, nn.Conv2d):
            a.weight.copy_(1 + 0.3 * torch.randn(a.weight.shape, generator=random))
            a.bias.copy_(0.3 * torch.randn(a.bias.shape, generator=random))
        b.weight.copy_(a.weight)
        bias = torch.randn(b.bias.shape, generator=random) if a.bias is None else a.bias
        b.bias.copy_(bias)


@pytest.mark.parametrize(("inputs", "skip"), [(3, 4), (35, 8)])
def test_the_same_function_as_batch_norm_in_training_with_one_picture(inputs, skip):
    ours, theirs = painting(inputs, skip=skip).double(), PaperNetwork(inputs, skip).double()
    copied(ours, theirs)
    x = torch.rand(1, inputs, 64, 96, generator=tiny.generator(2), dtype=torch.float64)
    # Colours are float32.
    torch.testing.assert_close(ours(x).double(), theirs.train()(x), atol=1e-6, rtol=0)


@pytest.mark.parametrize("start", ["paper", "rectifier"])
def test_gradients_are_those_of_batch_norm(start):
    ours, theirs = painting(start=start).double(), PaperNetwork().double()
    copied(ours, theirs)
    x = torch.rand(1, 3, 64, 96, generator=tiny.generator(2), dtype=torch.float64)
    goal = torch.rand(1, 3, 64, 96, generator=tiny.generator(3), dtype=torch.float64)
    for network in (ours, theirs):
        (network(x) - goal).square().mean().backward()
    pairs = [
        (ours.encoders[0][0][1].weight, theirs.down[0][0][0].weight),
        (ours.encoders[4][1][1].weight, theirs.down[4][1][0].weight),
        (ours.skips[2][1].weight, theirs.skip[2][0].weight),
        (ours.decoders[0][0].weight, theirs.norm[0].weight),
        (ours.decoders[3][2][1].weight, theirs.up[3][1][0].weight),
        (ours.colours.bias, theirs.last.bias),
    ]
    for a, b in pairs:
        # The output's own rounding to float32 remains.
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5 * float(b.grad.abs().max()), rtol=0)
        assert float(b.grad.abs().max()) > 1e-6


def test_count_of_what_the_papers_network_learns():
    """Written out from the architecture: a convolution's weights, two numbers a norm's channel."""
    levels = [(3, 16), (16, 32), (32, 64), (64, 128), (128, 128)]
    skips = sum(4 * below + 2 * 4 for below, _ in levels)
    encoders = sum((9 * below + 9 * width) * width + 4 * width for below, width in levels)
    joints = [(128, 128), (128, 128), (128, 64), (64, 32), (32, 16)]
    decoders = sum(
        2 * (below + 4) + 9 * (below + 4) * width + 2 * width + width * width + 2 * width
        for below, width in joints
    )
    last = 16 * 3 + 3
    assert skips + encoders + decoders + last == 1_036_031
    assert parameter_count(UNet()) == 1_036_031
    # With the biases that a norm takes away again, as the authors have them: about 1.04 million.
    biases = 5 * 4 + 2 * (16 + 32 + 64 + 128 + 128) + 2 * (128 + 128 + 64 + 32 + 16)
    assert parameter_count(PaperNetwork()) == 1_036_031 + biases == 1_037_523


def test_count_leaves_out_what_is_frozen():
    network = UNet()
    network.colours.requires_grad_(False)
    assert parameter_count(network) == 1_036_031 - 51


SIZES = [(65, 33), (31, 200), (200, 31), (16, 16), (64, 64), (1, 1), (5, 70), (97, 101)]


@pytest.mark.parametrize("size", SIZES)
def test_any_size(size):
    network = painting()
    x = torch.rand(1, 3, *size, generator=tiny.generator(2), requires_grad=True)
    painted = network(x)
    assert painted.shape == x.shape
    assert painted.dtype == torch.float32
    assert bool(torch.isfinite(painted).all())
    if size == (1, 1):
        return  # nothing but flat colour, whose normalisation has no gradient to speak of
    painted.square().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters())


def test_sizes_are_filled_up_by_repeating_the_border():
    network = painting()
    x = torch.rand(1, 3, 65, 90, generator=tiny.generator(2))
    rows = torch.arange(96).clamp(max=64)
    columns = torch.arange(96).clamp(max=89)
    filled = x[:, :, rows][:, :, :, columns]
    assert torch.equal(network(x), network(filled)[..., :65, :90])


def test_two_pictures_at_once_are_the_two_alone():
    network = painting().double()
    x = torch.rand(2, 3, 70, 64, generator=tiny.generator(2), dtype=torch.float64)
    x[1] *= 0.3
    alone = torch.cat([network(x[:1]), network(x[1:])])
    torch.testing.assert_close(network(x), alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("start", ["paper", "rectifier"])
def test_the_seed_decides_the_weights(start):
    first, same, other = (
        UNet(start=start, generator=tiny.generator(seed)).state_dict() for seed in (5, 5, 6)
    )
    assert all(torch.equal(first[name], same[name]) for name in first)
    matrices = [name for name in first if first[name].ndim == 4]
    if start == "rectifier":
        matrices.remove("colours.weight")  # zeros
    assert not any(torch.equal(first[name], other[name]) for name in matrices)


def test_how_the_first_weights_are_spread():
    paper = UNet(start="paper", generator=tiny.generator(1))
    rectifier = UNet(start="rectifier", generator=tiny.generator(1))
    for network, name in ((paper, "paper"), (rectifier, "rectifier")):
        for module in network.modules():
            if not isinstance(module, nn.Conv2d) or module.weight.numel() < 4000:
                continue
            taps = module.kernel_size[0] ** 2
            into, out = module.in_channels * taps, module.out_channels * taps
            if name == "paper":  # Glorot and Bengio (2010), eq. 16, times the gain
                expected = 0.02 * math.sqrt(2 / (into + out))
            else:  # He et al. (2015), eq. 15
                expected = math.sqrt(2 / ((1 + 0.2**2) * into))
            spread = float(module.weight.detach().std())
            assert spread == pytest.approx(expected, rel=0.06), (name, module)
            assert abs(float(module.weight.detach().mean())) < 0.1 * expected
    x = torch.rand(1, 3, 64, 64, generator=tiny.generator(2))
    assert bool((rectifier(x) == 0.5).all()), "it starts from grey"
    assert 0 < float((paper(x) - 0.5).detach().abs().max()) < 0.15


def test_colours_stay_in_range_whatever_the_weights():
    network = painting()
    logits: list[Tensor] = []
    network.colours.register_forward_hook(lambda _m, _i, out: logits.append(out))
    with torch.no_grad():
        network.colours.weight.mul_(1e4)
        painted = network(torch.rand(1, 3, 64, 64, generator=tiny.generator(2)))
    assert float(logits[0].abs().max()) > 100
    assert float(painted.min()) == 0
    assert float(painted.max()) == 1
    torch.testing.assert_close(painted, 1 / (1 + torch.exp(-logits[0])))


@pytest.mark.parametrize("size", [(2, 2), (3, 2), (7, 5)])
def test_mirrored_border(size):
    x = torch.randn(2, 3, *size, generator=tiny.generator(), dtype=torch.float64)
    x.requires_grad_()
    bordered = MirrorBorder()(x)
    rows, columns = ([1, *range(n), n - 2] for n in size)
    assert torch.equal(bordered, x[:, :, rows][:, :, :, columns])
    assert torch.autograd.gradcheck(MirrorBorder(), x)


def test_a_border_of_a_single_row_repeats_it():
    x = torch.randn(1, 2, 1, 4, generator=tiny.generator())
    bordered = MirrorBorder()(x)
    assert bordered.shape == (1, 2, 3, 6)
    assert torch.equal(bordered, F.pad(x, (1, 1, 1, 1), mode="replicate"))


def test_instance_norm_is_its_formula():
    norm = InstanceNorm(3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, -0.5]))
        norm.bias.copy_(torch.tensor([0.1, 0.0, 3.0]))
    x = torch.randn(2, 3, 4, 5, generator=tiny.generator(), dtype=torch.float64)
    found = norm(x)
    for picture in range(2):
        for channel in range(3):
            values = x[picture, channel]
            mean = values.sum() / 20
            variance = (values - mean).square().sum() / 20
            expected = (values - mean) / (variance + 1e-5).sqrt()
            expected = norm.weight[channel] * expected + norm.bias[channel]
            torch.testing.assert_close(found[picture, channel], expected)
    single = norm(x[:, :, :1, :1])
    assert torch.equal(single, norm.bias[None, :, None, None].expand(2, 3, 1, 1))


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (4, 5)])
def test_the_gradient_of_doubling_by_means_is_torchs(size):
    x = torch.rand(2, 3, *size, dtype=torch.float64, requires_grad=True)
    doubled = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
    gradient = torch.randn(doubled.shape, dtype=torch.float64)
    (right,) = torch.autograd.grad(doubled, x, gradient)
    assert torch.allclose(undoubled(gradient), right)
