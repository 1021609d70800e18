"""The guided filter against a regression in every window, and what follows from it."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F

from splice.pictures import guided_filter
from splice.pictures.guided_filter import guided_upsampling


def slow_guided_filter(fine: np.ndarray, guide: np.ndarray, radius: int, tolerance: float):
    """He, Sun and Tang (2013), eq. 11 to 13: a ridge regression in every window, then means.

    Pictures are mirrored at their border, channels first.
    """
    height, width = guide.shape[1:]
    rows = np.pad(np.arange(height), radius, mode="reflect")
    columns = np.pad(np.arange(width), radius, mode="reflect")
    window = 2 * radius + 1
    slopes = np.zeros((len(fine), 3, height, width))
    offsets = np.zeros((len(fine), height, width))
    for i in range(height):
        for j in range(width):
            inside = np.ix_(rows[i : i + window], columns[j : j + window])
            colours = np.stack([channel[inside].ravel() for channel in guide], 1)
            for k, values in enumerate(fine):
                wanted = values[inside].ravel()
                # min Σ (a · colour + b - value)² + tolerance · count · |a|²
                count = len(wanted)
                system = np.hstack([colours, np.ones((count, 1))])
                ridge = np.hstack([np.sqrt(tolerance * count) * np.eye(3), np.zeros((3, 1))])
                solution, *_ = np.linalg.lstsq(
                    np.vstack([system, ridge]), np.concatenate([wanted, np.zeros(3)]), rcond=None
                )
                slopes[k, :, i, j], offsets[k, i, j] = solution[:3], solution[3]
    result = np.zeros_like(fine)
    for i in range(height):
        for j in range(width):
            inside = np.ix_(rows[i : i + window], columns[j : j + window])
            for k in range(len(fine)):
                mean = [slopes[k, c][inside].mean() for c in range(3)]
                result[k, i, j] = np.dot(mean, guide[:, i, j]) + offsets[k][inside].mean()
    return result


@pytest.mark.parametrize(("radius", "tolerance"), [(1, 1e-3), (2, 1e-2), (3, 1e-3)])
def test_guided_upsampling_against_a_regression_in_every_window(radius, tolerance):
    coarse = torch.randn(1, 2, 2, 3, generator=tiny.generator())
    guide = tiny.picture(8, 11)[None]
    found = guided_upsampling(coarse, guide, radius, tolerance)
    fine = F.interpolate(coarse, size=(8, 11), mode="bilinear", align_corners=False)
    expected = slow_guided_filter(
        fine[0].double().numpy(), guide[0].double().numpy(), radius, tolerance
    )
    np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-4)


def test_a_window_of_nothing_leaves_the_bilinear_map():
    coarse = torch.arange(4.0).reshape(1, 1, 2, 2)
    found = guided_upsampling(coarse, tiny.picture(4, 4)[None], 0, 1e-3)[0, 0]
    # Of 4 pixels over 2 values, centres lie at -0.25, 0.25, 0.75 and 1.25 of the coarse grid.
    ends = torch.tensor([0, 0.25, 0.75, 1])
    torch.testing.assert_close(found, 2 * ends[:, None] + ends[None])


def test_a_window_wider_than_the_picture_is_cut():
    coarse = torch.randn(1, 1, 2, 2, generator=tiny.generator())
    guide = tiny.picture(5, 9)[None]
    wide, widest = (guided_upsampling(coarse, guide, radius, 1e-3) for radius in (50, 2))
    torch.testing.assert_close(wide, widest)
    assert guided_upsampling(coarse, guide[..., :1, :], 8, 1e-3).shape == (1, 1, 1, 9)


def test_edges_of_the_picture_become_edges_of_the_map():
    guide = torch.zeros(1, 3, 16, 16)
    guide[..., 6:] = 1  # an edge that is not one of the coarse grid
    coarse = torch.tensor([0.0, 0.0, 1.0, 1.0])[None, None, None].expand(1, 1, 4, 4)
    smooth = guided_upsampling(coarse, guide, 0, 1e-3)[0, 0, 8]
    sharp = guided_upsampling(coarse, guide, 4, 1e-3)[0, 0, 8]
    assert float(smooth[6] - smooth[5]) == pytest.approx(0.125)
    assert float(sharp[6] - sharp[5]) > 0.3


@pytest.mark.robustness
@pytest.mark.parametrize("radius", [0, 2])
def test_a_large_picture_gets_its_codes_by_few_channels_and_pixels(monkeypatch, radius):
    """As with windows as many times larger as the picture is, in every channel, edges included."""
    guide = 0.5 + 0.2 * torch.sin(torch.arange(96) / 15)[:, None] * torch.ones(1, 3, 96, 128)
    guide[..., 49:] += 0.25  # an edge within a pixel of the small picture
    coarse = torch.randn(1, 9, 4, 5, generator=tiny.generator())
    coarse[..., 2:] += 3
    whole = guided_upsampling(coarse, guide, 4 * radius, 1e-3)
    monkeypatch.setattr(guided_filter, "GUIDED_SIDE", 24)
    fast = guided_upsampling(coarse, guide, radius, 1e-3)
    assert fast.shape == whole.shape
    if radius == 0:
        torch.testing.assert_close(fast, whole)
    else:
        smooth = guided_upsampling(coarse, guide, 0, 1e-3)
        away = (whole - smooth).abs().mean()
        assert (fast - whole).abs().mean() < 0.4 * away
        step = (fast[..., 49] - fast[..., 48]).mean()
        assert step > 0.7 * (whole[..., 49] - whole[..., 48]).mean() > 0.5
    each = [guided_upsampling(coarse[:, i : i + 1], guide, radius, 1e-3) for i in range(9)]
    torch.testing.assert_close(fast, torch.cat(each, 1))
    # Where codes of pixels are looked up, no second copy is made of them.
    flat = fast[0].flatten(1).T
    assert flat.is_contiguous()
    assert flat.data_ptr() == fast.data_ptr()
