"""k-means against loops."""

import itertools

import pytest
import tiny
import torch

from splice.method.clusters import k_means, nearest_centre


@pytest.mark.parametrize("seed", range(5))
def test_groups_that_lie_apart_are_found(seed):
    """Distances within are a fortieth of those between."""
    corners = torch.tensor(list(itertools.product([0.0, 20.0], [0.0, 20.0])))
    of = torch.arange(200) % 4
    points = corners[of] + 0.3 * torch.randn(200, 2, generator=tiny.generator())
    found = k_means(points, 4, tiny.generator(seed))
    means = torch.stack([points[of == group].mean(0) for group in range(4)])
    apart = torch.tensor(
        [[(mean - centre).norm().item() for centre in found] for mean in means]
    ).double()
    torch.testing.assert_close(apart.amin(1), torch.zeros(4).double(), atol=1e-4, rtol=0)
    assert sorted(apart.argmin(1).tolist()) == [0, 1, 2, 3]


def test_nearest_centres_are_those_of_a_loop():
    points, centres = (torch.randn(n, 3, generator=tiny.generator(n)) for n in (50, 7))
    found = nearest_centre(points, centres)
    for point, centre in zip(points.double(), found.tolist(), strict=True):
        distances = [(point - other).square().sum().item() for other in centres.double()]
        assert centre == min(range(7), key=distances.__getitem__)


def test_centres_are_the_means_of_the_points_that_are_nearest_to_them():
    """Lloyd's algorithm has come to its end within its rounds."""
    points = torch.randn(60, 2, generator=tiny.generator())
    centres = k_means(points, 6, tiny.generator(1))
    of = nearest_centre(points, centres)
    for group in range(6):
        assert bool((of == group).any())
        torch.testing.assert_close(centres[group], points[of == group].mean(0), atol=1e-5, rtol=0)


def test_first_centres_are_drawn_far_from_each_other(monkeypatch):
    """A point's chance is its squared distance to the nearest centre so far."""
    monkeypatch.setattr("splice.method.clusters.ROUNDS", 0)
    points = torch.tensor([[0.0], [1.0], [3.0]])
    random, pairs = tiny.generator(), torch.zeros(3, 3)
    for _ in range(3000):
        first, second = k_means(points, 2, random)[:, 0].tolist()
        pairs[[0, 1, 3].index(int(first)), [0, 1, 3].index(int(second))] += 1
    chances = torch.zeros(3, 3)
    for i, j in itertools.product(range(3), range(3)):
        squares = [(points[i] - other).square().item() for other in points]
        chances[i, j] = squares[j] / sum(squares) / 3
    assert (pairs / 3000 - chances).abs().max() < 0.03


def test_the_same_seed_gives_the_same_centres():
    points = torch.randn(80, 4, generator=tiny.generator())
    first, same, other = (k_means(points, 9, tiny.generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_fewer_points_than_centres_are_survived():
    points = torch.tensor([[1.0, 2.0], [5.0, 5.0]]).repeat(4, 1)
    centres = k_means(points, 6, tiny.generator())
    assert centres.shape == (6, 2)
    assert bool(torch.isfinite(centres).all())
    nearest = centres[nearest_centre(points, centres)]
    torch.testing.assert_close(nearest, points)
