"""Pieces of one picture in the places of another, against loops and where the answer is known."""

import math
from itertools import product

import numpy as np
import pytest
import tiny
import torch

from splice.collage import elsewhere, laid_out, staying
from splice.placement import Placement

RANDOM = torch.Generator().manual_seed(3)


def cubic(image: np.ndarray, top: float, left: float) -> np.ndarray:
    """Values at a point in pixels by Keys's cubic (a = -0.75); beyond the edges, those of the edges."""

    def weight(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.25 * x**3 - 2.25 * x**2 + 1
        return -0.75 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    first = math.floor(top - 0.5) - 1, math.floor(left - 0.5) - 1
    value = np.zeros(len(image))
    for row, column in product(range(first[0], first[0] + 4), range(first[1], first[1] + 4)):
        beyond = min(max(row, 0), image.shape[1] - 1), min(max(column, 0), image.shape[2] - 1)
        share = weight(top - 0.5 - row) * weight(left - 0.5 - column)
        value += share * image[:, beyond[0], beyond[1]]
    return value


def around(image: np.ndarray, radius: int) -> np.ndarray:
    means = np.zeros_like(image)
    for row, column in np.ndindex(*image.shape[1:]):
        rows = slice(max(0, row - radius), row + radius + 1)
        window = image[:, rows, max(0, column - radius) : column + radius + 1]
        means[:, row, column] = window.mean((1, 2))
    return means


@pytest.mark.parametrize(
    ("size", "grid", "other", "other_grid"),
    [((18, 24), (3, 4), (20, 12), (5, 3)), ((10, 7), (1, 2), (9, 9), (2, 2))],
)
def test_pieces_are_laid_out_as_by_a_loop(size, grid, other, other_grid):
    image = tiny.picture(*other, 1)
    codes, wanted = (torch.randn(1, 8, *each, generator=RANDOM) / 4 for each in (other, size))
    places = torch.rand(*grid, 2, generator=RANDOM) * (torch.tensor(other_grid) - 1)
    slopes = torch.eye(2) + 0.3 * torch.randn(*grid, 2, 2, generator=RANDOM)
    found = laid_out(image[None], codes, Placement(places, slopes), other_grid, wanted)
    radius = max(1, round(2 * min(other[0] / other_grid[0], other[1] / other_grid[1])))
    veil = around(around(image.double().numpy(), radius), radius)
    parts = np.concatenate([veil, image.double().numpy() - veil, codes[0].double().numpy()])
    expected = np.zeros((6, *size))
    sides = size[0] / grid[0], size[1] / grid[1]
    for row, column in np.ndindex(*size):
        weights = np.zeros(2)
        middle = row + 0.5, column + 0.5
        for patch_row, patch_column in np.ndindex(*grid):
            own = int(middle[0] / sides[0]), int(middle[1] / sides[1])
            if max(abs(patch_row - own[0]), abs(patch_column - own[1])) > 2:
                continue
            down = middle[0] / sides[0] - (patch_row + 0.5)
            right = middle[1] / sides[1] - (patch_column + 0.5)
            place, slope = places[patch_row, patch_column], slopes[patch_row, patch_column]
            at = [
                float(place[i] + slope[i, 0] * down + slope[i, 1] * right + 0.5)
                / other_grid[i]
                * other[i]
                for i in (0, 1)
            ]
            shown = cubic(parts, *at)
            unlike = shown[6:] - wanted[0, :, row, column].double().numpy()
            distance = math.hypot(down, right)
            power = -0.5 * np.array([distance / 0.9, distance / 0.4]) ** 2
            weight = np.exp(power - 0.5 * (unlike**2).mean() / 0.3**2)
            expected[:3, row, column] += weight[0] * shown[:3]
            expected[3:, row, column] += weight[1] * shown[3:6]
            weights += weight
        expected[:3, row, column] /= weights[0]
        expected[3:, row, column] /= weights[1]
    colours = (expected[:3] + expected[3:]).clip(0, 1)
    np.testing.assert_allclose(found[0].numpy(), colours, atol=1e-4)


def test_half_of_a_picture_stays_in_blobs():
    first, second, again = (staying((12, 12), tiny.generator(seed)) for seed in (1, 2, 1))
    assert first.equal(again)
    assert not first.equal(second)
    assert 70 <= first.sum() <= 72
    # Most of what is beside a patch that stays does so, too.
    assert (first[:, 1:] == first[:, :-1]).float().mean() > 0.7


def test_what_is_exchanged_comes_from_afar():
    likeness = torch.rand(2, 144, 144, generator=RANDOM)
    found = elsewhere(likeness, (12, 12))
    for one, other in product(range(144), range(144)):
        far = max(abs(one // 12 - other // 12), abs(one % 12 - other % 12))
        expected = likeness[:, one, other] if far > 3 else torch.full((2,), -4.0)
        assert found[:, one, other].equal(expected)


def test_outlines_are_those_of_the_picture_that_is_filled():
    """Patches of the left are black and those of the right white, but the border is not between two."""
    image, codes = torch.zeros(1, 3, 8, 64), torch.zeros(1, 1, 8, 64)
    image[..., 32:], codes[..., 32:] = 1, 2
    wanted = torch.zeros(1, 1, 8, 64)
    wanted[..., 35:] = 2
    places = torch.zeros(1, 8, 2)
    places[:, 4:, 1] = 7
    placed = Placement(places, torch.eye(2).expand(1, 8, 2, 2))
    found = laid_out(image, codes, placed, (1, 8), wanted)
    # Colours without detail change slowly from piece to piece, and a little of that is left.
    assert found[..., :35].max() < 0.035
    assert found[..., 35:].min() > 0.965
