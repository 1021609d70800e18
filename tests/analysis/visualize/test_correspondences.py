"""Matches between two pictures' features, and pictures warped by them."""

import numpy as np
import pytest
import torch
from small_features import flat, random

from splice.analysis.visualize import (
    Matches,
    draw_matches,
    mutual_nearest_neighbours,
    warp_by_nearest,
)

# Correspondences


def test_mutual_nearest_neighbours_are_those_of_a_search():
    first, second = random(4, 5, 3), random(3, 6, 3, seed=1)
    matches = mutual_nearest_neighbours(first, second)
    a, b = (m.reshape(-1, 3).numpy() - m.reshape(-1, 3).numpy().mean(0) for m in (first, second))
    cosine = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (
        b / np.linalg.norm(b, axis=1, keepdims=True)
    ).T
    expected = {
        ((i // 5, i % 5), (int(j) // 6, int(j) % 6))
        for i in range(20)
        if cosine[:, (j := cosine[i].argmax())].argmax() == i
    }
    pairs = zip(matches.first.tolist(), matches.second.tolist(), strict=True)
    assert {(tuple(x), tuple(y)) for x, y in pairs} == expected
    assert (matches.similarity.diff() <= 0).all()
    (row, column), (to_row, to_column) = matches.first[0].tolist(), matches.second[0].tolist()
    best = cosine[row * 5 + column, to_row * 6 + to_column]
    assert matches.similarity[0].item() == pytest.approx(best, abs=1e-5)


def test_a_rearranged_picture_is_matched_completely():
    features = random(4, 5, 16)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    moved = features.flatten(0, 1)[order].view(5, 4, 16) + 100.0  # in another light
    matches = mutual_nearest_neighbours(features, moved)
    assert len(matches) == 20
    for here, there in zip(matches.first.tolist(), matches.second.tolist(), strict=True):
        assert order[there[0] * 4 + there[1]] == here[0] * 5 + here[1]


def test_spread_matches_keep_their_distance_and_the_best():
    first = torch.tensor([[0, 0], [0, 1], [5, 5], [9, 9], [5, 9]])
    second = torch.tensor([[0, 0], [9, 0], [5, 5], [0, 1], [9, 9]])
    matches = Matches(first, second, torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]))
    # The second is near the first on the left, the fourth near it on the right.
    assert matches.spread(9, apart=2).first.tolist() == [[0, 0], [5, 5], [5, 9]]
    assert matches.spread(1, apart=2).first.tolist() == [[0, 0]]
    assert matches.spread(9, apart=0).first.tolist() == first.tolist()


def test_warping_follows_the_features():
    """Each corner has its own feature; the picture's corners move to where the features are."""
    corners = torch.eye(4).view(2, 2, 4)
    features = corners.repeat_interleave(4, 0).repeat_interleave(4, 1)
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    quarters = colours.T.view(3, 2, 2)
    picture = quarters.repeat_interleave(40, 1).repeat_interleave(40, 2)
    warped = warp_by_nearest(picture, features, features.flip(1))
    assert warped.shape == picture.shape
    for row in (0, 1):
        for column in (0, 1):
            middle = warped[:, 40 * row + 20, 40 * column + 20]
            torch.testing.assert_close(middle, quarters[:, row, 1 - column], atol=0.02, rtol=0)


def test_warping_takes_the_aspect_of_the_structure():
    picture = torch.full((3, 60, 80), 0.3)
    warped = warp_by_nearest(picture, random(6, 8, 5), random(6, 4, 5, seed=1))
    assert warped.shape == (3, 60, 40)
    torch.testing.assert_close(warped, torch.full_like(warped, 0.3), atol=1e-4, rtol=0)


def test_lines_join_the_middles_of_the_patches():
    matches = Matches(torch.tensor([[1, 0]]), torch.tensor([[0, 3]]), torch.ones(1))
    sheet = draw_matches(
        flat((0, 0, 0), 80, 80), flat((0, 0, 0), 160, 80), matches, (2, 2), (2, 4), gap=10
    )
    assert sheet.size == (80 + 10 + 160, 80)
    drawn = np.array(sheet).max(2) > 60
    ys, xs = np.nonzero(drawn[:, :80])
    start = np.array([60, 20])  # the lower left of 2 x 2 patches
    assert np.abs(np.stack([ys, xs], 1) - start).sum(1).min() <= 1
    right = np.array(sheet)[20, 90 + 140]  # the last of the upper four patches on the right
    assert right.max() > 60
    # A picture of another height is scaled to that of the first.
    assert draw_matches(
        flat((0, 0, 0), 80, 80), flat((0, 0, 0), 80, 40), matches, (2, 2), (2, 4), gap=0
    ).size == (80 + 160, 80)
