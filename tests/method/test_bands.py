"""The generator in bands against the generator in one piece."""

import pytest
import torch

from splice.method import bands
from splice.method.bands import paint_in_bands
from splice.method.generator import UNet
from splice.method.layers import InstanceNorm

pytestmark = pytest.mark.robustness


def network(inputs: int = 5) -> UNet:
    """With every weight and shift different from its start, so that all of them count."""
    random = torch.Generator().manual_seed(3)
    net = UNet(inputs, skip=3, start="rectifier", generator=random)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, InstanceNorm):
                module.weight.copy_(1 + 0.3 * torch.randn(module.weight.shape, generator=random))
                module.bias.copy_(0.3 * torch.randn(module.bias.shape, generator=random))
        # Strong colours, where differences would show; it starts with zeros.
        torch.nn.init.normal_(net.colours.weight, 0.0, 1.0, random)
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def source(height: int, width: int, inputs: int = 5) -> torch.Tensor:
    """Unlike at the top and at the bottom, so that no band has the mean of the whole."""
    random = torch.Generator().manual_seed(height)
    rise = torch.linspace(-2, 4, height)[:, None]
    return torch.randn(1, inputs, height, width, generator=random) * rise.abs() + rise


@pytest.mark.parametrize("band_pixels", [1, 700, 5000, 10**9])
@pytest.mark.parametrize("size", [(160, 96), (97, 131), (33, 200), (32, 32), (7, 20), (1, 70)])
@torch.no_grad()
def test_bands_paint_what_one_piece_paints(monkeypatch, size, band_pixels):
    """In float64, where rounding cannot hide a seam; pictures are float32.

    Bands of a row each take long, so they are for small pictures.
    """
    monkeypatch.setattr(bands, "BAND_PIXELS", band_pixels)
    net, x = network().double(), source(*size).double()
    whole = net(x)
    banded = paint_in_bands(net, lambda top, bottom: x[:, :, top:bottom], *size)
    assert banded.shape == whole.shape
    assert (banded - whole).abs().max() < 3e-7
    assert whole.std() > 0.1


@pytest.mark.parametrize("size", [(192, 256), (257, 131)])
@torch.no_grad()
def test_bands_in_float32_leave_no_seam(monkeypatch, size):
    monkeypatch.setattr(bands, "BAND_PIXELS", 3000)
    net, x = network(), source(*size)
    banded = paint_in_bands(net, lambda top, bottom: x[:, :, top:bottom], *size)
    assert (banded - net(x)).abs().max() < 1e-4


@torch.no_grad()
def test_a_tile_by_itself_would_not_do():
    """What the bands are for: statistics of a part are not those of the whole."""
    net, x = network(), source(160, 96)
    assert (net(x[:, :, :96]) - net(x)[:, :, :96]).abs().max() > 0.1


@torch.no_grad()
def test_bands_in_bfloat16_differ_by_its_rounding_alone(monkeypatch):
    monkeypatch.setattr(bands, "BAND_PIXELS", 2000)
    net, x = network(), source(160, 128)
    exact = net(x)
    with torch.autocast("cpu", torch.bfloat16):
        whole = net(x)
        banded = paint_in_bands(net, lambda top, bottom: x[:, :, top:bottom], 160, 128)
    rounding = (whole - exact).abs().mean()
    assert (banded - exact).abs().mean() < 1.2 * rounding
    assert (banded - whole).abs().mean() < rounding


@torch.no_grad()
def test_no_more_than_bands_is_asked_for_at_once(monkeypatch):
    monkeypatch.setattr(bands, "BAND_PIXELS", 64 * 8)
    net, x, asked = network(), source(256, 64), []

    def read(top: int, bottom: int) -> torch.Tensor:
        asked.append(bottom - top)
        return x[:, :, top:bottom]

    paint_in_bands(net, read, 256, 64)
    # 8 rows, or 16 for a band of 8 rows half as high and twice as deep, and the border's rows.
    assert max(asked) <= 2 * 16 + 2
    assert sum(asked) >= 4 * 256
