"""Near neighbours of a domain, against a loop over all pairs."""

import math

import torch
from tiny import generator

from splice.domain.neighbours import find_neighbours


def _cosine(a: list[float], b: list[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_neighbours_are_the_nearest_by_the_cosine_of_centred_tokens():
    cls = torch.randn(15, 6, generator=generator(), dtype=torch.float64) + 3
    found = find_neighbours(cls.float(), 4, 0.0)
    centred = (cls.float().double() - cls.float().double().mean(0)).tolist()
    for row, index in enumerate(found.kept.tolist()):
        others = [other for other in range(15) if other != index]
        others.sort(key=lambda other, i=index: 1 - _cosine(centred[i], centred[other]))
        assert found.near[row].tolist() == others[:4]
    assert found.kept.tolist() == list(range(15))
    assert len(found.outliers) == 0


def test_a_picture_far_from_all_others_is_left_out_and_named():
    random = generator(1)
    directions = torch.eye(8)[:2]
    cls = directions.repeat(12, 1) + 0.05 * torch.randn(24, 8, generator=random)
    cls[7] = 5 * torch.eye(8)[5]
    found = find_neighbours(cls, 5, 4.0)
    assert found.outliers.tolist() == [7]
    assert 7 not in found.kept
    assert 7 not in found.near
    assert found.loneliness.argmax() == 7
    # Those of one direction find each other.
    for row, index in enumerate(found.kept.tolist()):
        assert all(other % 2 == index % 2 for other in found.near[row].tolist())
    assert len(find_neighbours(cls, 5, 0.0).outliers) == 0


def test_outliers_lie_beyond_robust_deviations():
    cls = torch.randn(40, 3, generator=generator(2))
    found = find_neighbours(cls, 3, 1.0)
    lonely = found.loneliness.double()
    median = lonely.sort().values[19]
    usual = 1.4826 * (lonely - median).abs().sort().values[19]
    expected = [i for i, value in enumerate(lonely.tolist()) if value > median + usual]
    assert sorted(found.outliers.tolist()) == expected
    assert lonely[found.outliers].diff().le(0).all()  # the loneliest first


def test_pictures_that_are_all_alike_are_all_kept():
    found = find_neighbours(torch.ones(5, 4), 3, 3.0)
    assert found.kept.tolist() == list(range(5))
    assert found.near.shape == (5, 3)


def test_pairs_are_drawn_from_neighbours_alone():
    found = find_neighbours(torch.randn(12, 4, generator=generator(3)), 3, 0.0)
    allowed = {
        (index, other)
        for row, index in enumerate(found.kept.tolist())
        for other in found.near[row].tolist()
    }
    random = generator(4)
    drawn = {found.draw(random) for _ in range(600)}
    assert drawn == allowed
