"""Pieces of one picture in the places of another, against loops and where the answer is known."""

import math
from itertools import product

import numpy as np
import pytest
import tiny
import torch

from splice.collage import agreement, coherent_matches, disordered, laid_out
from splice.matching import matching

RANDOM = torch.Generator().manual_seed(3)


def test_without_coherence_matches_are_those_of_single_patches():
    similarity = torch.rand(6, 8, generator=RANDOM)
    found = coherent_matches(similarity, (2, 3), (2, 4), 0.05, 0.1, 0.0)
    assert found.equal(matching(similarity, 0.05, 0.1))


def test_neighbours_settle_on_neighbours():
    """Each patch alone hesitates between many; together they find the piece that was moved."""
    side, move = 10, (2, 1)
    picture = torch.rand(side, side, generator=RANDOM).mul(3).round()
    moved = picture.roll(move, (0, 1))
    similarity = (picture.flatten()[:, None] == moved.flatten()).float()
    similarity += 0.02 * torch.rand(similarity.shape, generator=RANDOM)
    inside = [(r, c) for r, c in product(range(1, side - 3), range(1, side - 3))]
    right = [((r + move[0]) * side + c + move[1]) for r, c in inside]
    rows = [r * side + c for r, c in inside]
    shares = []
    for coherence in (0.0, 0.5):
        found = coherent_matches(similarity, (side, side), (side, side), 0.05, 0.1, coherence)
        torch.testing.assert_close(found.sum(1), torch.ones(side**2))
        shares.append((found.argmax(1)[rows] == torch.tensor(right)).float().mean().item())
    assert shares[0] < 0.3
    assert shares[1] > 0.9


def test_coherence_does_not_overrule_meaning():
    """A part that is alike to one place alone stays there, whatever its neighbours do."""
    similarity = torch.full((9, 9), 0.0)
    similarity.fill_diagonal_(1.0)
    similarity[4, 4], similarity[4, 0] = 0.0, 1.0
    found = coherent_matches(similarity, (3, 3), (3, 3), 0.02, 0.0, 0.5)
    assert found.argmax(1).tolist() == [0, 1, 2, 3, 0, 5, 6, 7, 8]


def bilinear(image: np.ndarray, top: float, left: float) -> np.ndarray:
    """Colours at a point in pixels; beyond the middles of the outermost pixels, theirs."""
    top = min(max(top - 0.5, 0), image.shape[1] - 1)
    left = min(max(left - 0.5, 0), image.shape[2] - 1)
    row, column = int(top), int(left)
    below, beside = min(row + 1, image.shape[1] - 1), min(column + 1, image.shape[2] - 1)
    down, right = top - row, left - column
    upper = (1 - right) * image[:, row, column] + right * image[:, row, beside]
    lower = (1 - right) * image[:, below, column] + right * image[:, below, beside]
    return (1 - down) * upper + down * lower


@pytest.mark.parametrize(
    ("size", "grid", "other", "other_grid"),
    [((18, 24), (3, 4), (20, 12), (5, 3)), ((10, 7), (1, 2), (9, 9), (2, 2))],
)
def test_pieces_are_laid_out_as_by_a_loop(size, grid, other, other_grid):
    image = tiny.picture(*other, 1)
    codes, wanted = (torch.randn(1, 9, *each, generator=RANDOM) / 4 for each in (other, size))
    chosen = torch.randint(math.prod(other_grid), (math.prod(grid),), generator=RANDOM)
    found = laid_out(image[None], codes, chosen, (grid, other_grid), wanted)[0]
    both = torch.cat([image, codes[0, :8]]).double().numpy()
    expected = np.zeros((3, *size))
    sides = size[0] / grid[0], size[1] / grid[1]
    for row, column in np.ndindex(*size):
        weights = 0.0
        middle = row + 0.5, column + 0.5
        for patch_row, patch_column in np.ndindex(*grid):
            own = int(middle[0] / sides[0]), int(middle[1] / sides[1])
            if max(abs(patch_row - own[0]), abs(patch_column - own[1])) > 2:
                continue
            down = middle[0] - (patch_row + 0.5) * sides[0]
            right = middle[1] - (patch_column + 0.5) * sides[1]
            distance = math.hypot(down / sides[0], right / sides[1])
            piece = divmod(int(chosen[patch_row * grid[1] + patch_column]), other_grid[1])
            top = (piece[0] + 0.5) / other_grid[0] * other[0] + down
            left = (piece[1] + 0.5) / other_grid[1] * other[1] + right
            shown = bilinear(both, top, left)
            unlike = shown[3:] - wanted[0, :8, row, column].double().numpy()
            weight = math.exp(-0.5 * (distance / 0.5) ** 2 - 0.5 * (unlike**2).mean() / 0.3**2)
            expected[:, row, column] += weight * shown[:3]
            weights += weight
        expected[:, row, column] /= weights
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_half_of_a_disordered_picture_stays():
    grid = (12, 12)
    similarity = torch.rand(144, 144, generator=RANDOM)
    asked = []

    def matches(each):
        asked.append(each)
        return matching(each, 0.01)

    first, second = (disordered(similarity, grid, matches, tiny.generator(seed)) for seed in (1, 2))
    again = disordered(similarity, grid, matches, tiny.generator(1))
    assert first.equal(again)
    assert not first.equal(second)
    stay = first == torch.arange(144)
    assert 70 <= stay.sum() <= 72
    assert first[~stay].equal(asked[0].argmax(1)[~stay])
    # In blobs: most of what is beside a patch that stays does so, too.
    beside = (stay.reshape(grid)[:, 1:] == stay.reshape(grid)[:, :-1]).float().mean()
    assert beside > 0.7
    # What is exchanged comes from afar.
    for row, column in np.ndindex(*grid):
        near = asked[0][row * 12 + column].reshape(grid)
        near = near[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4]
        assert near.max() < -1
        assert asked[0].argmax(1).lt(144).all()


def test_outlines_are_those_of_the_picture_that_is_filled():
    """Patches of the left are black and those of the right white, but the border is not between two."""
    image, codes = torch.zeros(1, 3, 8, 64), torch.zeros(1, 1, 8, 64)
    image[..., 32:], codes[..., 32:] = 1, 2
    wanted = torch.zeros(1, 1, 8, 64)
    wanted[..., 35:] = 2
    chosen = torch.tensor([0, 0, 0, 0, 7, 7, 7, 7])
    found = laid_out(image, codes, chosen, ((1, 8), (1, 8)), wanted)
    assert found[..., :35].max() < 0.01
    assert found[..., 35:].min() > 0.99


def test_agreement_counts_neighbours_that_are_neighbours_in_the_other_picture():
    grid, columns = (4, 5), 9
    chosen = torch.tensor([[3 * columns + 2 + c + r * columns for c in range(5)] for r in range(4)])
    assert agreement(chosen.flatten(), grid, columns).eq(1).all()
    chosen[1, 2] = 70  # alone
    found = agreement(chosen.flatten(), grid, columns)[0, 0]
    expected = torch.ones(grid)
    expected[1, 2] = 0
    for row, column, neighbours in (
        (0, 1, 5), (0, 2, 5), (0, 3, 5), (1, 1, 8), (1, 3, 8), (2, 1, 8), (2, 2, 8), (2, 3, 8)
    ):  # fmt: skip
        expected[row, column] = 1 - 1 / neighbours
    torch.testing.assert_close(found, expected)
    mirrored = torch.arange(20).reshape(4, 5).flip(1).flatten()
    upright = agreement(mirrored, grid, 5)[0, 0, 1:3, 1:4]
    assert upright.eq(2 / 8).all(), "those above and below alone"
    assert agreement(torch.tensor([5]), (1, 1), columns).eq(0).all()
