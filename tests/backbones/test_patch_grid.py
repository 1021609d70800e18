"""Pictures brought to sizes that patches divide, against bicubic interpolation by loops."""

import numpy as np
import pytest
import tiny
import torch

from splice.backbones.patch_grid import resize_to_patches


@pytest.mark.parametrize(
    ("size", "patch", "short", "long", "expected"),
    [
        ((200, 200), 14, 224, 480, (224, 224)),
        ((200, 300), 14, 224, 480, (224, 336)),
        ((300, 200), 14, 224, 480, (336, 224)),
        ((100, 215), 14, 224, 480, (224, 476)),  # 481.6, the nearest multiple is 476
        ((100, 300), 14, 224, 480, (224, 476)),  # cut down to the largest multiple below 480
        ((300, 100), 14, 224, 480, (476, 224)),
        ((100, 300), 14, 224, None, (224, 672)),
        ((100, 300), 8, 224, 480, (224, 480)),
        ((150, 100), 16, 224, 480, (336, 224)),
        ((101, 103), 16, 224, 480, (224, 224)),  # 228.4
        ((16, 128), 14, 56, 112, (56, 112)),
        ((1, 1), 14, 28, 480, (28, 28)),
        ((8, 100), 14, 5, 480, (14, 56)),  # never less than a patch: 62.5, so 4 patches
    ],
)
def test_sizes_that_the_vit_takes(size, patch, short, long, expected):
    image = torch.rand(1, 3, *size, generator=tiny.generator())
    resized = resize_to_patches(image, patch, short, long)
    assert tuple(resized.shape) == (1, 3, *expected)


def test_a_fitting_image_is_not_touched():
    image = torch.rand(1, 3, 224, 336, generator=tiny.generator())
    assert resize_to_patches(image, 14) is image
    assert resize_to_patches(image, 14, None) is image


def bicubic(size: int, target: int) -> np.ndarray:
    """Antialiased bicubic interpolation along one side, target × size (Keys, 1981, a = -1/2)."""
    scale = max(size / target, 1.0)
    matrix = np.zeros((target, size))
    for i in range(target):
        centre = (i + 0.5) * size / target
        for j in range(size):
            t = abs(j + 0.5 - centre) / scale
            if t < 1:
                matrix[i, j] = 1.5 * t**3 - 2.5 * t**2 + 1
            elif t < 2:
                matrix[i, j] = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return matrix / matrix.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [(100, 130), (20, 33)])
def test_resizing_is_antialiased_bicubic(size):
    image = torch.rand(1, 3, *size, generator=tiny.generator(), dtype=torch.float64)
    resized = resize_to_patches(image, 14, 42)
    rows, columns = (bicubic(*pair) for pair in zip(size, resized.shape[2:], strict=True))
    expected = np.einsum("ir,crs,js->cij", rows, image[0].numpy(), columns)
    np.testing.assert_allclose(resized[0].numpy(), expected, atol=1e-9)
