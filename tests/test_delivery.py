"""The painting at the photograph's size: what is kept, what is added, against loops."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

from splice.delivery import delivered, detail_gain
from splice.images import resize_short_side

LARGE = tiny.picture(72, 96, 1)[None]
SMALL = resize_short_side(LARGE[0], 24)[None]
PAINTED = tiny.picture(24, 32, 2)[None]


def test_a_painting_of_the_photograph_s_size_is_delivered_as_it_is():
    painted = tiny.picture(72, 96, 2)[None]
    assert torch.equal(delivered(painted, LARGE, LARGE), painted)


def test_a_painting_that_changed_nothing_gives_the_photograph_back():
    """Where a window's variance is far above FLAT, and so the gain, the slope of y = x, about 1."""
    grain = torch.rand(1, 1, 24, 32, generator=tiny.generator(3)).expand(1, 3, 24, 32)
    small = 0.2 + 0.6 * grain
    fine = 0.02 * torch.randn(1, 3, 72, 96, generator=tiny.generator(4))
    large = F.interpolate(small, size=(72, 96), mode="bicubic") + fine
    found = delivered(small, small, large)
    plain = F.interpolate(small, size=(72, 96), mode="bicubic")
    inside = (..., slice(9, -9), slice(9, -9))
    assert (found - large.clamp(0, 1))[inside].abs().max() < 0.02 * fine.abs().max() + 1e-6
    assert (plain - large)[inside].abs().max() > 0.9 * fine[inside].abs().max()


@pytest.mark.parametrize("slope", [0.3, 1.2])
def test_detail_is_as_strong_as_the_painting_s_contrast(slope):
    small = 0.2 + 0.6 * torch.rand(1, 1, 24, 32, generator=tiny.generator(3)).expand(1, 3, 24, 32)
    gain = detail_gain(0.1 + slope * small, small)
    assert (gain - slope).abs().max() < 0.03 * slope


def test_the_gain_is_bounded():
    small = torch.rand(1, 3, 24, 32, generator=tiny.generator(3))
    assert torch.equal(detail_gain(1 - small, small), torch.zeros(1, 1, 24, 32))
    strong = detail_gain((4 * (small - 0.5) + 0.5), small)
    assert torch.equal(strong, torch.full((1, 1, 24, 32), 1.5))
    some = detail_gain(PAINTED, SMALL)
    assert float(some.min()) >= 0
    assert float(some.max()) <= 1.5
    assert float(some.std()) > 0.01


def window(image: np.ndarray, row: int, column: int) -> np.ndarray:
    rows = slice(max(0, row - 3), row + 4)
    return image[rows, max(0, column - 3) : column + 4]


def loop_gain(painted: Tensor, structure: Tensor) -> np.ndarray:
    """He, Sun, Tang (2013), eq. 5 in every window, then the mean of the windows around (eq. 8)."""
    x, y = (image[0].double().mean(0).numpy() for image in (structure, painted))
    slopes = np.zeros_like(x)
    for row, column in np.ndindex(*x.shape):
        a, b = window(x, row, column), window(y, row, column)
        slopes[row, column] = ((a * b).mean() - a.mean() * b.mean()) / (a.var() + 4e-4)
    means = np.zeros_like(x)
    for row, column in np.ndindex(*x.shape):
        means[row, column] = window(slopes, row, column).mean()
    return means.clip(0, 1.5)


def test_the_gain_is_that_of_a_regression_in_every_window():
    painted = (0.7 * SMALL + 0.3 * PAINTED).clamp(0, 1)
    found = detail_gain(painted, SMALL)[0, 0]
    np.testing.assert_allclose(found.numpy(), loop_gain(painted, SMALL), atol=1e-4)
    assert found.std() > 0.02


def test_the_delivered_picture_is_the_enlarged_painting_and_detail_by_its_gain():
    painted = (0.7 * SMALL + 0.3 * PAINTED).clamp(0, 1)
    found = delivered(painted, SMALL, LARGE)
    gain = torch.from_numpy(loop_gain(painted, SMALL))[None, None]
    gain = F.interpolate(gain, size=(72, 96), mode="bilinear", align_corners=False)
    ours, theirs = (
        F.interpolate(x.double(), size=(72, 96), mode="bicubic", align_corners=False)
        for x in (painted, SMALL)
    )
    expected = (ours + gain * (LARGE.double() - theirs)).clamp(0, 1)
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)
    assert (found - ours).abs().mean() > 0.01


def test_a_flat_structure_image_has_no_detail_to_add():
    flat, large = torch.full((1, 3, 24, 32), 0.5), 0.5 + 0.1 * LARGE
    found = delivered(PAINTED, flat, large)
    expected = F.interpolate(PAINTED, size=(72, 96), mode="bicubic", align_corners=False)
    torch.testing.assert_close(found, expected.clamp(0, 1), atol=1e-6, rtol=0)
