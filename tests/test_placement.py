"""Places between patches, against planes that are known and loops."""

import math
from itertools import product

import pytest
import tiny
import torch

from splice.placement import Placement, placement, unmoved

CPU = torch.device("cpu")


def costs_of(places: torch.Tensor, mirrored: bool, other: tuple[int, int]) -> torch.Tensor:
    """The cost of a patch is its squared distance from a place, in one of the two directions."""
    rows, columns = torch.arange(other[0]), torch.arange(other[1])
    at = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
    near = (at - places[..., None, None, :]).square().sum(-1)
    both = [near, near + 50]
    return torch.stack(both[::-1] if mirrored else both, 2)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_stretched_piece_lies_on_its_plane(mirrored):
    grid, other = (9, 12), (30, 30)
    slope = torch.tensor([[1.3, 0.2], [-0.1, -0.8 if mirrored else 0.8]])
    own = unmoved(grid, CPU).places
    places = torch.tensor([6.3, 16.2 if mirrored else 4.2]) + own @ slope.T
    found = placement(costs_of(places, mirrored, other), torch.zeros(1, 2, *grid), 0.5)
    inner = found.places[3:-3, 3:-3] - places[3:-3, 3:-3]
    assert inner.abs().max() < 0.1
    # Slopes hold a little to those of a picture that is not stretched.
    straight = torch.diag(torch.tensor([1.0, -1.0 if mirrored else 1.0]))
    middle = found.slopes[4, 6]
    assert (middle - slope).norm() < 0.35 * (straight - slope).norm()


def test_two_pieces_stay_apart():
    grid, other = (8, 8), (30, 30)
    places = unmoved(grid, CPU).places.clone()
    places[:, 4:] += torch.tensor([10.0, 3.0])
    found = placement(costs_of(places, False, other), torch.zeros(1, 2, *grid), 0.1)
    torch.testing.assert_close(found.places, places, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.slopes, torch.eye(2).expand(*grid, 2, 2), atol=1e-3, rtol=0)


def test_what_means_something_else_has_no_say():
    grid, other = (8, 8), (20, 20)
    places = unmoved(grid, CPU).places.clone()
    places[:, 4:, 0] += 0.9
    codes = torch.zeros(1, 2, *grid)
    together = placement(costs_of(places, False, other), codes, 0.1)
    codes[..., 4:] = 20
    apart = placement(costs_of(places, False, other), codes, 0.1)
    wanted = placement(costs_of(places[:, :4], False, other), codes[..., :4], 0.1)
    torch.testing.assert_close(apart.places[:, :4], wanted.places, atol=1e-4, rtol=0)
    assert (together.places - apart.places).abs().max() > 0.05


def test_agreement_is_the_share_of_neighbours_where_they_are_expected():
    random = tiny.generator()
    grid = (4, 5)
    places = unmoved(grid, CPU).places + torch.rand(*grid, 2, generator=random)
    slopes = torch.eye(2) + 0.1 * torch.randn(*grid, 2, 2, generator=random)
    found = Placement(places, slopes).agreement()[0, 0]
    for row, column in product(*map(range, grid)):
        shares = []
        for down, right in product((-1, 0, 1), repeat=2):
            there = row + down, column + right
            if (down or right) and 0 <= there[0] < 4 and 0 <= there[1] < 5:
                slope = slopes[row, column]
                off = [
                    float(
                        places[there][i]
                        - places[row, column][i]
                        - slope[i, 0] * down
                        - slope[i, 1] * right
                    )
                    for i in (0, 1)
                ]
                shares.append(math.exp(-(off[0] ** 2 + off[1] ** 2) / 2))
        assert found[row, column].item() == pytest.approx(sum(shares) / len(shares), abs=1e-6)
    assert unmoved(grid, CPU).agreement().eq(1).all()
    assert unmoved((1, 1), CPU).agreement().eq(0).all()


def test_a_part_of_one_placement_and_the_rest_of_another():
    one, other = unmoved((2, 3), CPU), Placement(torch.zeros(2, 3, 2), torch.zeros(2, 3, 2, 2))
    kept = torch.tensor([[True, False, True], [False, True, False]])
    found = one.where(kept, other)
    assert found.places[0, 2].tolist() == [0, 2] and found.places[0, 1].tolist() == [0, 0]
    assert found.slopes[1, 1].equal(torch.eye(2)) and found.slopes[1, 2].eq(0).all()
