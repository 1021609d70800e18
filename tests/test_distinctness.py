"""Parts with a counterpart of their own, against a loop and where the answer is known."""

import math

import pytest
import tiny
import torch

from splice.distinctness import distinctness

RANDOM = tiny.generator(5)


def test_margins_are_those_of_a_loop():
    grid, other = (5, 7), (9, 8)
    likeness = 0.05 * torch.rand(2, 35, 72, generator=RANDOM)
    margins = torch.zeros(grid)
    for row in range(grid[0]):
        for column in range(grid[1]):
            alike = {
                (r, c): max(likeness[page, row * 7 + column, r * 8 + c].item() for page in (0, 1))
                for r in range(9)
                for c in range(8)
            }
            best = max(alike, key=alike.__getitem__)
            apart = [
                v for k, v in alike.items() if max(abs(k[0] - best[0]), abs(k[1] - best[1])) > 3
            ]
            margins[row, column] = alike[best] - max(apart)
    found = distinctness(likeness, grid, other)
    assert found.shape == (1, 1, *grid)
    for row in range(grid[0]):
        for column in range(grid[1]):
            window = margins[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
            m = window.double().mean().item() / 0.022
            assert found[0, 0, row, column].item() == pytest.approx(m**6 / (m**6 + 1), abs=1e-4)


def test_a_nose_is_distinct_and_a_meadow_is_not():
    likeness = torch.full((2, 64, 64), 0.2)
    likeness[0, :32, 9], likeness[0, 32:, 9] = 0.3, 0.205
    found = distinctness(likeness, (8, 8), (8, 8))[0, 0]
    assert found[:2].min() > 0.99
    assert found[-2:].max() < 0.01


def test_where_there_is_nothing_else_all_is_distinct():
    found = distinctness(torch.rand(2, 12, 9, generator=RANDOM), (3, 4), (3, 3))
    assert found.min() > 0.99
    assert not math.isnan(found.sum().item())
