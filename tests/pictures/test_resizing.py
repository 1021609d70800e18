"""Resizing to a short side, against the antialiased cubic by loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splice.errors import InputError
from splice.pictures.images import resize_short_side

pytestmark = pytest.mark.robustness


# Resizing


@settings(max_examples=60, derandomize=True)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 64))
def test_short_side_is_met_and_aspect_kept(height: int, width: int, size: int) -> None:
    resized = resize_short_side(torch.rand(3, height, width), size)
    new_height, new_width = resized.shape[1:]
    assert min(new_height, new_width) == size
    exact = max(height, width) * size / min(height, width)
    assert abs(max(new_height, new_width) - exact) <= 0.5
    assert (new_height <= new_width) == (height <= width) or new_height == new_width
    assert resized.min() >= 0 and resized.max() <= 1


@pytest.mark.parametrize("shape", [(16, 4000), (4000, 16), (1, 200), (200, 1)])
def test_extreme_aspect(shape: tuple[int, int]) -> None:
    for size in (1, 8, 20):
        resized = resize_short_side(torch.full((3, *shape), 0.25), size)
        assert min(resized.shape[1:]) == size
        np.testing.assert_allclose(resized, 0.25, atol=1e-5)


def cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -0.5, the one that antialiased resizing uses."""
    d = np.abs(distance)
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def resize_line(line: np.ndarray, size: int) -> np.ndarray:
    scale = len(line) / size
    stretch = max(scale, 1.0)
    result = np.empty(size)
    for index in range(size):
        centre = (index + 0.5) * scale
        first = max(int(centre - 2 * stretch + 0.5), 0)
        last = min(int(centre + 2 * stretch + 0.5), len(line))
        weights = cubic((np.arange(first, last) + 0.5 - centre) / stretch)
        result[index] = weights @ line[first:last] / weights.sum()
    return result


@pytest.mark.parametrize("size", [5, 13, 24, 40])
def test_resizing_is_the_antialiased_cubic(size: int) -> None:
    image = torch.rand(3, 24, 36, generator=torch.Generator().manual_seed(0))
    resized = resize_short_side(image, size)
    for channel in range(3):
        rows = np.array(
            [resize_line(row, (size * 36 + 12) // 24) for row in image[channel].double().numpy()]
        )
        both = np.array([resize_line(column, size) for column in rows.T]).T
        np.testing.assert_allclose(resized[channel], both.clip(0, 1), atol=2e-5)


def test_resizing_refuses_no_size() -> None:
    for size in (0, -3):
        with pytest.raises(InputError, match="at least 1"):
            resize_short_side(torch.rand(3, 16, 16), size)
