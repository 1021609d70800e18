"""Changes of light: local affine maps against loops in float64, and what they keep of a photograph."""

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from splice.method import light
from splice.method.light import Light, applied, detail

PHOTOGRAPH = tiny.picture(24, 32, 1)[None]
CHANGE = tiny.picture(24, 32, 2)[None] - PHOTOGRAPH


def light_of(photograph: Tensor, change: Tensor) -> Tensor:
    """The part of a change that is one of light."""
    return applied(Light(photograph).maps(change), photograph)


@pytest.fixture
def whole_size(monkeypatch) -> None:
    """Maps are found on the photograph itself."""
    monkeypatch.setattr(light, "SHRINK", 1)


def mirrored(image: Tensor) -> np.ndarray:
    """Height × width × channels in float64, two pixels wider on all sides."""
    return np.pad(image[0].permute(1, 2, 0).double().numpy(), ((2, 2), (2, 2), (0, 0)), "reflect")


def loop_maps(photograph: Tensor, change: Tensor) -> np.ndarray:
    """He, Sun, Tang (2013), eq. 14, 15 in every window, then means of the windows around (eq. 16)."""
    guide, wanted = mirrored(photograph), mirrored(change)
    height, width = photograph.shape[-2:]
    found = np.empty((height, width, 12))
    for row, column in np.ndindex(height, width):
        x, y = (z[row : row + 5, column : column + 5].reshape(25, 3) for z in (guide, wanted))
        covariance = (x - x.mean(0)).T @ (x - x.mean(0)) / 25 + 1e-4 * np.eye(3)
        slopes = np.linalg.solve(covariance, (x - x.mean(0)).T @ (y - y.mean(0)) / 25)
        offsets = y.mean(0) - x.mean(0) @ slopes
        found[row, column] = np.concatenate([slopes.T.flatten(), offsets])
    around = np.pad(found, ((2, 2), (2, 2), (0, 0)), "reflect")
    for row, column in np.ndindex(height, width):
        found[row, column] = around[row : row + 5, column : column + 5].mean((0, 1))
    return found


@pytest.mark.usefixtures("whole_size")
def test_maps_are_those_of_a_loop_over_windows():
    found = Light(PHOTOGRAPH).maps(CHANGE)[0].permute(1, 2, 0).numpy()
    expected = loop_maps(PHOTOGRAPH, CHANGE)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_maps_are_found_at_half_the_size():
    small = torch.nn.functional.avg_pool2d(torch.cat([PHOTOGRAPH, CHANGE], 1), 2)
    found = Light(PHOTOGRAPH).maps(CHANGE)[0].permute(1, 2, 0).numpy()
    expected = loop_maps(small[:, :3], small[:, 3:])
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def grainy(*size: int) -> Tensor:
    """A photograph with detail of every colour in each window."""
    return torch.rand(1, 3, *size, generator=tiny.generator(3))


def test_an_affine_change_of_colours_is_light_as_a_whole():
    """What the ridge takes of it is TOLERANCE by the variance of a half-size window, about 1/50."""
    photograph = grainy(40, 48)
    matrix = torch.randn(3, 3, generator=tiny.generator(4)) / 3
    offset = torch.tensor([0.1, -0.2, 0.05])[:, None, None]
    change = torch.einsum("ij,njhw->nihw", matrix, photograph) + offset
    found = light_of(photograph, change)
    assert (found - change).abs().max() < 0.05 * change.std()


def test_texture_that_the_photograph_has_not_is_no_light():
    photograph = grainy(40, 48)
    checks = (torch.arange(40)[:, None] + torch.arange(48)) % 2 * 1.0
    change = 0.4 * (checks - 0.5).expand(1, 3, 40, 48)
    assert light_of(photograph, change).abs().max() < 0.02


def test_a_flat_photograph_changes_as_the_mean_of_windows():
    """Where all colours are alike no slope can be told."""
    flat = torch.full((1, 3, 24, 32), 0.4)
    maps = Light(flat).maps(CHANGE)
    assert maps[:, :9].abs().max() < 1e-3
    assert torch.allclose(light_of(flat, torch.full_like(flat, 0.1)), torch.tensor(0.1), atol=1e-6)


def test_maps_apply_to_the_photograph_at_any_size():
    """Constant maps are the same affine function of the colours everywhere, at every size."""
    matrix, offset = torch.randn(3, 3, generator=tiny.generator(4)), torch.tensor([0.1, 0.0, -0.3])
    maps = torch.cat([matrix.flatten(), offset])[None, :, None, None].expand(1, 12, 5, 6)
    large = tiny.picture(70, 84, 5)[None]
    expected = torch.einsum("ij,njhw->nihw", matrix, large) + offset[:, None, None]
    torch.testing.assert_close(applied(maps, large), expected, atol=1e-5, rtol=0)


def test_detail_goes_through_slopes_alone():
    matrix = 0.3 * torch.randn(3, 3, generator=tiny.generator(4)) + 0.5 * torch.eye(3)
    maps = torch.cat([matrix.flatten(), torch.ones(3)])[None, :, None, None].expand(1, 12, 5, 6)
    fine = tiny.picture(70, 84, 5)[None] - 0.5
    expected = torch.einsum("ij,njhw->nihw", matrix, fine)
    torch.testing.assert_close(detail(maps, fine), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sign", [1, -1])
def test_grey_detail_is_strengthened_by_a_quarter_at_most(sign):
    """Of unequal gains for three colours it is the length that is bounded; their ratios stay."""
    gains = sign * torch.tensor([4.0, 2.0, 1.0])
    slopes = (gains[:, None] * torch.tensor([0.5, 0.3, 0.2])).flatten()
    maps = torch.cat([slopes, torch.zeros(3)])[None, :, None, None].expand(1, 12, 4, 4)
    grey = torch.rand(1, 1, 8, 8, generator=tiny.generator(7)).expand(1, 3, 8, 8)
    found = detail(maps, grey)
    expected = 1.25 * gains / gains.norm() * 3**0.5
    torch.testing.assert_close(found / grey, expected[:, None, None].expand(1, 3, 8, 8))


def test_light_is_linear_in_the_change_and_its_gradient_is_its_adjoint():
    """<L x, y> = <x, L* y>, of which the right side is what automatic differentiation gives."""
    x, y = CHANGE.clone().requires_grad_(), torch.randn(1, 3, 24, 32, generator=tiny.generator(6))
    (gradient,) = torch.autograd.grad((light_of(PHOTOGRAPH, x) * y).sum(), x)
    left, right = (light_of(PHOTOGRAPH, CHANGE) * y).sum(), (CHANGE * gradient).sum()
    torch.testing.assert_close(left, right, atol=1e-3, rtol=1e-4)
    both = light_of(PHOTOGRAPH, 2 * CHANGE + y)
    torch.testing.assert_close(
        both, 2 * light_of(PHOTOGRAPH, CHANGE) + light_of(PHOTOGRAPH, y), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (5, 4)])
def test_the_smallest_pictures_have_light(size):
    photograph = grainy(*size)
    found = light_of(photograph, torch.full_like(photograph, 0.2))
    torch.testing.assert_close(found, torch.full_like(photograph, 0.2), atol=1e-5, rtol=0)
