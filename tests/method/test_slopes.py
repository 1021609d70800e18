"""Local affine maps of colours: applied at any size, and as slopes for a photograph's grain."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

from splice.method.slopes import applied, with_grain


def shrunk(photograph: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(photograph, size=size, mode="area")


def test_maps_apply_to_the_photograph_at_any_size():
    """Constant maps are the same affine function of the colours everywhere, at every size."""
    matrix, offset = torch.randn(3, 3, generator=tiny.generator(4)), torch.tensor([0.1, 0.0, -0.3])
    maps = torch.cat([matrix.flatten(), offset])[None, :, None, None].expand(1, 12, 5, 6)
    large = tiny.picture(70, 84, 5)[None]
    expected = torch.einsum("ij,njhw->nihw", matrix, large) + offset[:, None, None]
    torch.testing.assert_close(applied(maps, large), expected, atol=1e-5, rtol=0)


def test_an_affine_picture_of_a_photograph_becomes_that_of_the_large_one():
    """All that the enlarged small one lacks goes through the same matrix; none is above a quarter."""
    photograph = torch.rand(1, 3, 70, 84, generator=tiny.generator(5))
    matrix = torch.tensor([[0.3, 0.2, 0.1], [0.0, 0.5, 0.1], [0.1, 0.0, 0.4]])

    def through(image: Tensor) -> Tensor:
        return torch.einsum("ij,njhw->nihw", matrix, image) + 0.1

    small = shrunk(photograph, (35, 42))
    found = with_grain(through(small), small, photograph)
    apart, missing = (
        (through(photograph) - x).abs().mean()
        for x in (found, F.interpolate(through(small), size=(70, 84), mode="bicubic"))
    )
    assert apart < 0.1 * missing


@pytest.mark.parametrize("sign", [1, -1])
def test_grey_grain_is_strengthened_by_a_quarter_at_most(sign):
    """Of unequal gains for three colours it is the length that is bounded; their ratios stay."""
    grey = 0.5 + 0.02 * torch.randn(1, 1, 40, 48, generator=tiny.generator(7)).expand(1, 3, -1, -1)
    photograph = F.interpolate(grey, scale_factor=2.0, mode="nearest")
    photograph = photograph + 0.01 * torch.randn(1, 1, 80, 96, generator=tiny.generator(8))
    small = shrunk(photograph, (40, 48))
    gains = torch.tensor([8.0, 4.0, 2.0])
    picture = 0.5 + sign * gains[:, None, None] * (small - 0.5)
    found = with_grain(picture.clamp(0, 1), small, photograph)
    plain, less = (
        F.interpolate(x, size=(80, 96), mode="bicubic") for x in (picture.clamp(0, 1), small)
    )
    inside = (found > 0) & (found < 1)
    added, grain = (found - plain)[0], (photograph - less)[0]
    for channel, gain in enumerate(1.25 * gains / gains.norm() * 3**0.5):
        keep = inside[0, channel]
        x, y = grain[channel][keep].numpy(), added[channel][keep].numpy()
        assert np.dot(x, y) / np.dot(x, x) == pytest.approx(sign * gain.item(), rel=0.15)


def test_of_a_flat_photograph_there_is_no_grain():
    flat = torch.full((1, 3, 40, 40), 0.4)
    picture = tiny.picture(20, 20, 1)[None]
    found = with_grain(picture, flat[..., :20, :20], flat)
    expected = F.interpolate(picture, size=(40, 40), mode="bicubic").clamp(0, 1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (5, 4)])
def test_the_smallest_pictures_are_enlarged(size):
    small = torch.rand(1, 3, *size, generator=tiny.generator(3))
    photograph = F.interpolate(small, scale_factor=2.0, mode="nearest")
    assert bool(torch.isfinite(with_grain(small, small, photograph)).all())
