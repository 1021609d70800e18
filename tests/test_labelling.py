"""Matches that hang together, against all there are and where the answer is known."""

from itertools import pairwise, product

import numpy as np
import pytest
import tiny
import torch

from splice.labelling import bonds, settled

RANDOM = torch.Generator().manual_seed(3)


@pytest.mark.parametrize("upright", [False, True])
def test_on_a_line_costs_are_those_of_the_best_of_all_labellings(upright):
    """Without circles belief propagation is exact: every patch's costs are those of the whole."""
    patches, other, stretch, tear = 3, (2, 3), 0.3, 0.5
    labels = list(product(range(2), range(other[0]), range(other[1])))
    costs = torch.rand(patches, len(labels), generator=RANDOM).double()
    bond = torch.tensor([0.4, 1.0]).double()
    wanted = np.full(costs.shape, np.inf)
    for chosen in product(range(len(labels)), repeat=patches):
        total = sum(costs[i, chosen[i]].item() for i in range(patches))
        for i, (first, second) in enumerate(pairwise(chosen)):
            (mirrored, row, column), (turned, down, right) = labels[first], labels[second]
            across = -1 if mirrored else 1
            expected = (row + 1, column) if upright else (row, column + across)
            apart = abs(expected[0] - down) + abs(expected[1] - right)
            price = min(stretch * apart, tear) if mirrored == turned else tear
            total += bond[i].item() * price
        for i in range(patches):
            wanted[i, chosen[i]] = min(wanted[i, chosen[i]], total)
    grid = (patches, 1) if upright else (1, patches)
    nothing = bond.new_ones(0, patches)
    below, beside = (bond[:, None], nothing.T) if upright else (nothing, bond[None])
    found = settled(costs.reshape(*grid, 2, *other), below, beside, stretch, tear)
    found = found.reshape(patches, -1).numpy()
    # Up to what all matches of a patch cost at least.
    np.testing.assert_allclose(
        found - found.min(1, keepdims=True), wanted - wanted.min(1, keepdims=True), atol=1e-9
    )


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_piece_that_was_moved_is_found_as_a_whole(mirrored):
    """Each patch alone is like a third of all others; together they find where they come from."""
    side = 10
    picture = torch.rand(side, side, generator=RANDOM).mul(2).round()
    moved = picture.roll((2, 1), (0, 1))
    moved = moved.flip(1) if mirrored else moved
    unlike = (picture.flatten()[:, None] != moved.flatten()).float()
    costs = unlike.reshape(side, side, 1, side, side).repeat(1, 1, 2, 1, 1)
    below, beside = torch.ones(side - 1, side), torch.ones(side, side - 1)
    found = settled(costs, below, beside, 0.5, 1.0).flatten(2).argmin(2)
    for row, column in product(range(side - 2), range(side - 2)):
        right = side - 2 - column if mirrored else column + 1
        assert found[row, column] == (mirrored * side + row + 2) * side + right
    right = [(row + 2) * side + column + 1 for row in range(8) for column in range(9)]
    alone = costs[:8, :9, 0].flatten(2).argmin(2).flatten()
    assert (alone == torch.tensor(right)).float().mean() < 0.1


def test_bonds_are_loose_where_meaning_changes():
    codes = torch.randn(1, 3, 4, 5, generator=tiny.generator())
    codes[..., 2:, :] = codes[..., :1, :1]
    below, beside = bonds(codes)
    assert below.shape == (3, 5) and beside.shape == (4, 4)
    assert below[2].eq(1).all() and beside[2:].eq(1).all()
    for row, column in product(range(4), range(4)):
        change = codes[0, :, row, column + 1] - codes[0, :, row, column]
        expected = 0.15 + 0.85 * np.exp(-(change**2).mean().item() / 0.72)
        assert beside[row, column].item() == pytest.approx(expected, abs=1e-6)
    assert bonds(100 * codes)[0][:2].sub(0.15).abs().max() < 1e-3


def test_what_is_sure_of_itself_does_not_follow_its_neighbours():
    costs = torch.ones(3, 3, 2, 3, 3)
    for row, column in product(range(3), range(3)):
        costs[row, column, 0, row, column] = 0
    costs[1, 1, 0, 1, 1], costs[1, 1, 0, 0, 0] = 1, -1
    full = torch.ones(2, 3), torch.ones(3, 2)
    found = settled(costs, *full, 0.1, 0.2).flatten(2).argmin(2)
    assert found.flatten().tolist() == [0, 1, 2, 3, 0, 5, 6, 7, 8]
    found = settled(costs, *full, 0.5, 1.0).flatten(2).argmin(2)
    assert found.flatten().tolist() == list(range(9))
