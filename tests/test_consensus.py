"""Agreement of neighbouring matches against a loop, and on a pair where only the surroundings tell."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from splice.consensus import around

RANDOM = torch.Generator().manual_seed(5)


def slow(likeness: np.ndarray, grid, other_grid, radius: int) -> np.ndarray:
    joint = likeness.reshape(2, *grid, *other_grid)
    result = np.zeros_like(joint)
    for mirrored, row, column, other_row, other_column in np.ndindex(*joint.shape):
        total = weights = 0.0
        for down, right in product(range(-radius, radius + 1), repeat=2):
            across = -right if mirrored else right
            place = row + down, column + right, other_row + down, other_column + across
            if all(0 <= each < side for each, side in zip(place, joint.shape[1:], strict=True)):
                weight = math.exp(-0.5 * (down**2 + right**2) / (2 * radius / 3) ** 2)
                total += weight * joint[(mirrored, *place)]
                weights += weight
        result[mirrored, row, column, other_row, other_column] = total / weights
    return result.reshape(likeness.shape)


@pytest.mark.parametrize(
    ("grid", "other_grid", "radius"),
    [((4, 5), (3, 6), 1), ((4, 5), (3, 6), 2), ((1, 1), (2, 3), 2), ((2, 1), (1, 4), 4)],
)
def test_consensus_against_a_loop(grid, other_grid, radius):
    likeness = torch.rand(2, math.prod(grid), math.prod(other_grid), generator=RANDOM)
    found = around(likeness, grid, other_grid, radius)
    expected = slow(likeness.double().numpy(), grid, other_grid, radius)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_without_radius_nothing_changes():
    likeness = torch.rand(2, 6, 8, generator=RANDOM)
    assert around(likeness, (2, 3), (2, 4), 0).equal(likeness)


@pytest.mark.parametrize("mirrored", [False, True])
def test_surroundings_tell_patches_of_the_same_look_apart(mirrored):
    """A picture of 0 and 1 and the same moved: each patch by itself is like half of all others."""
    picture = torch.rand(12, 12, generator=RANDOM).round()
    moved = picture.roll((2, 3), (0, 1))
    moved = moved.flip(1) if mirrored else moved
    single = (picture.flatten()[:, None] == moved.flatten()).float()
    found = around(torch.stack([single, single]), (12, 12), (12, 12), 2)
    inside = [
        (row * 12 + column, (row + 2) * 12 + (8 - column if mirrored else column + 3))
        for row, column in product(range(2, 8), range(2, 7))
    ]
    # Near a border few moves count, and all of them may agree by chance.
    found = found.unflatten(2, (12, 12))[..., 2:-2, 2:-2].flatten(2)
    for patch, other in inside:
        row, column = divmod(other, 12)
        assert found[:, patch].argmax() == mirrored * 64 + (row - 2) * 8 + column - 2
    assert sum(single[patch].argmax().item() == other for patch, other in inside) < 3
