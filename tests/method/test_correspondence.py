"""What corresponds, against loops over pairs of patches in float64."""

import math

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

from splice.method import correspondence as module
from splice.method.appearances import Patches
from splice.method.correspondence import consensus, correspondence


def tokens(count: int, seed: int, width: int = 6) -> Tensor:
    return F.normalize(torch.randn(count, width, generator=tiny.generator(seed)), dim=1)


def loop(likeness, ours, grid, other, mirrored: bool, reach: int) -> np.ndarray:
    """Every pair of patches, and every pair moved alike that both pictures have."""
    pairs = likeness.double().numpy().reshape(*grid, *other)
    unit = ours.double().numpy().reshape(*grid, -1)
    found = np.zeros_like(pairs)
    for i, j, k, m in np.ndindex(*pairs.shape):
        total = weights = 0.0
        for down in range(-reach, reach + 1):
            for across in range(-reach, reach + 1):
                a, b = i + down, j + across
                c, d = k + down, m + (-across if mirrored else across)
                if (
                    0 <= a < grid[0]
                    and 0 <= b < grid[1]
                    and 0 <= c < other[0]
                    and 0 <= d < other[1]
                ):
                    weight = math.exp((unit[i, j] @ unit[a, b] - 1) / 0.5)
                    weight *= math.exp(-(down**2 + across**2) / (2 * 2.5**2))
                    total += weight * pairs[a, b, c, d]
                    weights += weight
        found[i, j, k, m] = total / weights
    return found.reshape(likeness.shape)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("grid", "other"), [((3, 5), (4, 3)), ((1, 6), (2, 2)), ((1, 1), (3, 3))])
def test_consensus_is_the_mean_over_neighbours_in_a_loop(monkeypatch, grid, other, mirrored):
    monkeypatch.setattr(module, "NEIGHBOURS", 2)
    ours, theirs = tokens(grid[0] * grid[1], 1), tokens(other[0] * other[1], 2)
    likeness = ours @ theirs.T
    found = consensus(likeness, ours, grid, Patches(other), mirrored)
    expected = loop(likeness, ours, grid, other, mirrored, 2)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_likeness_is_put_together_from_neighbours_itself_height_and_rarity(monkeypatch):
    monkeypatch.setattr(module, "NEIGHBOURS", 1)
    monkeypatch.setattr(module, "CLOSEST", 3)
    grid, other = (3, 4), (2, 5)
    ours, theirs = tokens(12, 1), tokens(10, 2)
    alone = ours @ theirs.T
    together = np.maximum(*(loop(alone, ours, grid, other, m, 1) for m in (False, True)))

    def standard(x: np.ndarray) -> np.ndarray:
        return (x - x.mean()) / x.std(ddof=1)

    rows = np.repeat([1 / 6, 3 / 6, 5 / 6], 4)
    others = np.repeat([1 / 4, 3 / 4], 5)
    expected = standard(together) + 0.3 * standard(alone.double().numpy())
    apart = np.abs(rows[:, None] - others)
    assert apart.min() < 0.15 < apart.max()
    expected = expected - 16 * np.square(np.maximum(apart - 0.15, 0))
    closest = np.sort(expected, axis=0)[-3:].mean(0)
    expected = (expected - 0.5 * closest) / 1.55
    found = correspondence(ours, theirs, grid, other)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_neighbours_tell_apart_what_looks_alike():
    """Two patches with one token: the one beside the left's neighbour is the left one."""
    row = tokens(4, 3)[[0, 1, 2, 3, 1]]
    single = row @ row.T
    torch.testing.assert_close(single[1, 1], single[1, 4])
    found = correspondence(row, row, (1, 5), (1, 5))
    assert found[1, 1] > found[1, 4] + 0.05
    assert found[4, 4] > found[4, 1] + 0.05


def test_what_resembles_everything_is_not_everybody_s_counterpart(monkeypatch):
    """The first of theirs is the mean of ours, each of the others a caricature of one of ours."""
    monkeypatch.setattr(module, "NEIGHBOURS", 0)
    one = torch.eye(6)
    ours = F.normalize(one + 0.6, dim=1)
    rare = F.normalize(one - 0.35 * (one.roll(1, 0) + one.roll(2, 0)) + 0.3, dim=1)
    theirs = torch.cat([F.normalize(torch.ones(1, 6), dim=1), rare])
    assert (ours @ theirs.T).argmax(1).tolist() == [0] * 6
    assert correspondence(ours, theirs, (1, 6), (1, 7)).argmax(1).tolist() == [1, 2, 3, 4, 5, 6]


def test_a_picture_in_the_mirror_corresponds_in_the_mirror():
    ours = tokens(20, 4)
    mirror = torch.arange(20).view(4, 5).flip(1).flatten()
    found = correspondence(ours, ours[mirror], (4, 5), (4, 5))
    assert torch.equal(found.argmax(1), mirror)


def test_pictures_without_differences_have_no_counterparts():
    same = torch.ones(4, 1)
    found = correspondence(same, same, (1, 4), (1, 4))
    assert bool(torch.isfinite(found).all())
    assert found.abs().max() < 1e-3
