"""Coarse maps at pixels, against a loop over pixels, and on pictures where the answer is known."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from splice.pictures import bilateral
from splice.pictures.bilateral import bilateral_upsampling, without_lines


def _loop(coarse: np.ndarray, guide: np.ndarray, side: int) -> np.ndarray:
    """One round of weighted means, pixel by pixel: patches of `side` pixels, nothing left out."""
    channels, rows, columns = coarse.shape
    patches = guide.reshape(3, rows, side, columns, side)
    mean = patches.mean((2, 4))
    within = patches.var((2, 4)).sum(0)
    result = np.zeros((channels, rows * side, columns * side))
    edge = np.pad(mean, ((0, 0), (2, 2), (2, 2)), mode="edge")
    around = np.array(
        [
            [edge[:, i : i + 5, j : j + 5].var((1, 2)).sum() for j in range(columns)]
            for i in range(rows)
        ]
    )
    tensor = torch.from_numpy(around)[None, None]
    around = F.interpolate(tensor, size=(rows * side, columns * side), mode="bilinear")[
        0, 0
    ].numpy()
    for y in range(rows * side):
        for x in range(columns * side):
            v, u = ((n + 0.5) / side - 0.5 for n in (y, x))
            v, u = min(max(v, 0), rows - 1), min(max(u, 0), columns - 1)
            total, weights = np.zeros(channels), 0.0
            for i in range(round(v) - 2, round(v) + 3):
                for j in range(round(u) - 2, round(u) + 3):
                    p, q = min(max(i, 0), rows - 1), min(max(j, 0), columns - 1)
                    apart = ((guide[:, y, x] - mean[:, p, q]) ** 2).sum()
                    weight = math.exp(
                        -((v - p) ** 2 + (u - q) ** 2) / 2
                        - apart / (2 * 0.25 * (around[y, x] + 1e-3))
                    ) / (within[p, q] + 1e-3)
                    total, weights = total + weight * coarse[:, p, q], weights + weight
            result[:, y, x] = total / weights
    return result


def test_it_is_what_a_loop_over_pixels_and_patches_gives(monkeypatch):
    monkeypatch.setattr(bilateral, "ROUNDS", 0)
    monkeypatch.setattr(bilateral, "without_lines", lambda image, radius: image)
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 2, 4, 5, generator=random, dtype=torch.float64)
    guide = torch.rand(1, 3, 12, 15, generator=random, dtype=torch.float64)
    expected = torch.from_numpy(_loop(coarse[0].numpy(), guide[0].numpy(), 3))
    torch.testing.assert_close(bilateral_upsampling(coarse, guide)[0], expected)


def _two_halves(edge: int) -> torch.Tensor:
    image = torch.full((1, 3, 64, 64), 0.2)
    image[..., edge:] = 0.8
    return image


def test_an_edge_within_a_patch_is_the_edge_of_the_map():
    # The edge lies 3 pixels into a patch of 8; what the patch is said to be lies between.
    guide = _two_halves(35)
    coarse = torch.zeros(1, 1, 8, 8)
    coarse[..., 5:] = 1
    coarse[..., 4] = 5 / 8
    fine = bilateral_upsampling(coarse, guide)
    assert float(fine[..., :34].max()) < 0.05
    assert float(fine[..., 36:].min()) > 0.95


def test_no_value_leaves_the_range_of_those_around():
    random = torch.Generator().manual_seed(1)
    coarse, guide = (
        torch.rand(1, 3, 6, 7, generator=random),
        torch.rand(1, 3, 48, 56, generator=random),
    )
    fine = bilateral_upsampling(coarse, guide)
    assert float(fine.min()) >= float(coarse.min())
    assert float(fine.max()) <= float(coarse.max())


def test_a_part_smaller_than_a_patch_keeps_its_value():
    # A dark eye of 4 × 4 pixels within one bright patch of 8 × 8: that patch alone has another value.
    guide = torch.full((1, 3, 64, 64), 0.8)
    guide[..., 26:30, 26:30] = 0.1
    coarse = torch.zeros(1, 1, 8, 8)
    coarse[..., 3, 3] = 1
    fine = bilateral_upsampling(coarse, guide)
    assert float(fine[..., 27:29, 27:29].min()) > 0.8
    assert float(fine[..., 40:, 40:].max()) < 0.05


def test_a_constant_map_stays_and_the_mirror_image_has_the_mirrored_map():
    random = torch.Generator().manual_seed(2)
    guide = torch.rand(1, 3, 40, 56, generator=random)
    flat = bilateral_upsampling(torch.full((1, 2, 5, 7), 0.3), guide)
    torch.testing.assert_close(flat, torch.full_like(flat, 0.3))
    coarse = torch.rand(1, 2, 5, 7, generator=random)
    mirrored = bilateral_upsampling(coarse.flip(-1), guide.flip(-1)).flip(-1)
    torch.testing.assert_close(mirrored, bilateral_upsampling(coarse, guide), atol=1e-3, rtol=0)


def test_a_thin_line_goes_and_an_edge_stays():
    image = _two_halves(32)
    lined = image.clone()
    lined[..., 10, :] = 1.0
    torch.testing.assert_close(without_lines(lined, 1)[..., :28], image[..., :28])
    torch.testing.assert_close(without_lines(image, 1), image)


def test_medians_are_numpys():
    random = torch.Generator().manual_seed(3)
    image = torch.rand(1, 3, 9, 11, generator=random)
    padded = np.pad(image[0].numpy(), ((0, 0), (2, 2), (2, 2)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (1, 2))
    expected = torch.from_numpy(np.median(windows, (3, 4)))[None]
    torch.testing.assert_close(without_lines(image, 2), expected)
