"""Appearance images in disguise: what goes, what is added, and what stays."""

import itertools
import math
from collections.abc import Callable

import pytest
import tiny
import torch

from splice.domain.disguise import COARSEST, FINEST, disguised, flattened, other_colours, patterns


def _around(picture: torch.Tensor, reach: int, pick: Callable[[list[float]], float]):
    """In a square around each pixel, what is picked of its values."""
    found = picture.clone()
    _, rows, columns = picture.shape
    for channel, row, column in itertools.product(range(3), range(rows), range(columns)):
        found[channel, row, column] = pick(
            [
                float(picture[channel, r, c])
                for r in range(max(0, row - reach), min(rows, row + reach + 1))
                for c in range(max(0, column - reach), min(columns, column + reach + 1))
            ]
        )
    return found


@pytest.mark.parametrize("bright", [True, False])
@pytest.mark.parametrize("reach", [1, 2])
def test_what_is_narrow_goes_as_a_square_that_is_moved_about_says(bright: bool, reach: int):
    picture = tiny.picture(9, 8)
    first, then, within = (min, max, torch.minimum) if bright else (max, min, torch.maximum)
    expected = _around(_around(picture, reach, first), reach, then)
    for _ in range(reach):
        expected = within(_around(expected, 1, then), picture)
    assert torch.equal(flattened(picture, reach, bright=bright), expected)


@pytest.mark.parametrize("bright", [True, False])
def test_what_is_wide_keeps_its_outline_whatever_its_shape(bright: bool):
    y, x = torch.meshgrid(torch.arange(24) - 11.3, torch.arange(24) - 11.8, indexing="ij")
    for inside in (x**2 + y**2 < 8**2, (x + y).abs() + (x - y).abs() < 14, x.abs() + y.abs() < 9):
        picture = torch.where(inside, 0.8, 0.1).expand(3, -1, -1)
        assert torch.equal(flattened(picture, 2, bright=bright), picture)


def test_a_striped_box_becomes_plain_and_keeps_its_outline():
    plain = torch.full((3, 24, 24), 0.2)
    plain[:, 6:18, 6:18] = 0.5
    striped = plain.clone()
    striped[:, 6:18, 8:18:4] = 0.9
    assert torch.equal(flattened(striped, 1, bright=True), plain)
    assert not torch.equal(flattened(striped, 1, bright=False), plain)


def test_like_colours_stay_alike_and_two_others_part_or_meet():
    two = torch.tensor([[0.2, 0.2, 0.9, 0.9], [0.5, 0.5, 0.1, 0.1], [0.4, 0.4, 0.3, 0.3]])[:, None]
    apart = []
    for seed in range(60):
        mapped = other_colours(two, tiny.generator(seed))
        torch.testing.assert_close(mapped[..., 0], mapped[..., 1], atol=1e-6, rtol=0)
        torch.testing.assert_close(mapped[..., 2], mapped[..., 3], atol=1e-6, rtol=0)
        apart.append(float((mapped[:, 0, 0] - mapped[:, 0, 2]).norm()))
    # Before, they are 0.81 apart.
    assert min(apart) < 0.35
    assert max(apart) > 1.2


def test_a_pattern_has_a_period_in_range_and_no_tone_of_its_own():
    side = 84
    flat, spotted = torch.full((3, side, side), 0.4), 0
    for seed in range(30):
        added = patterns(flat, tiny.generator(seed)).double()
        assert float(added.mean().abs()) < 0.1 * float(added.std())
        spectrum = torch.fft.fft2(added.sum(0)).abs()
        row, column = divmod(int(spectrum.argmax()), side)
        frequencies = [min(n, side - n) / side for n in (row, column)]
        frequency = math.hypot(*frequencies)
        # The product of two waves has the sums of their frequencies.
        assert 1 / (side / COARSEST) - 1 / side < frequency < 2**0.5 / FINEST + 1 / side
        rows = spectrum.flatten().sort(descending=True).values
        spotted += float(rows[2] / rows[0]) > 0.5
    assert 5 < spotted < 25


def test_disguises_are_pictures_that_their_generator_decides():
    picture = tiny.picture(32, 32)
    shown = [disguised(picture, tiny.generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(shown[0], shown[1])
    assert not torch.equal(shown[0], shown[2])
    assert min(float(each.min()) for each in shown) >= 0
    assert max(float(each.max()) for each in shown) <= 1
