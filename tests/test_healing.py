"""Collages that are made whole, where the answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from splice import healing
from splice.healing import Pieces, healed, in_place
from splice.placement import Placement, unmoved

CPU = torch.device("cpu")
GRID = (8, 10)


def stripes(height: int = 64, width: int = 80) -> torch.Tensor:
    """A picture of which every place looks other than all others: slanted stripes that fade."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    row, column = row * 64 / height, column * 80 / width
    wave = 0.5 + 0.4 * (0.35 * row + 0.6 * column).sin()
    return torch.stack([wave, row / 80 + 0.1, column / 100 + 0.1])[None]


def pieces(image: torch.Tensor, collage: torch.Tensor, placed: Placement) -> Pieces:
    """A collage that should show the image itself."""
    random = tiny.generator(2)
    codes = torch.nn.functional.interpolate(
        torch.randn(1, 8, *GRID, generator=random), size=image.shape[-2:], mode="bilinear"
    )
    each = torch.eye(GRID[0] * GRID[1])
    distinct = torch.zeros(1, 1, *GRID)
    return Pieces(collage, image, codes, image, codes, placed, each, distinct, GRID)


def test_a_tear_is_healed_and_what_is_whole_is_left():
    image = stripes()
    torn = image.clone()
    torn[..., 24:40, 32:56] = image[..., 4:20, 8:32]
    placed = unmoved(GRID, CPU)
    moved = placed.places.clone()
    moved[3:5, 4:7] -= torch.tensor([2.5, 3.0])
    given = pieces(image, torn, Placement(moved, placed.slopes))
    found = healed(given, tiny.generator(3))
    inside = (..., slice(24, 40), slice(32, 56))
    assert (torn - image)[inside].abs().mean() > 0.15
    assert (found - image)[inside].abs().mean() < 0.04
    assert (found - image)[..., :16, :].abs().mean() < 0.02


def test_what_is_distinct_holds_on_to_its_piece():
    """A collage whose pieces are all one row too far down, which codes and light contradict."""
    image = stripes()
    placed = unmoved(GRID, CPU)
    down = Placement(placed.places + torch.tensor([0.5, 0.0]), placed.slopes)
    given = pieces(image, image.roll(-4, -2), down)
    held = replace(given, distinct=torch.ones(1, 1, *GRID))
    moves = []
    for each in (given, held):
        found = healed(each, tiny.generator(4))[..., 8:-8, 8:-8]
        moves.append((found - image.roll(-4, -2)[..., 8:-8, 8:-8]).abs().mean().item())
    assert moves[1] < 0.75 * moves[0]


def test_the_same_seed_gives_the_same_picture():
    image, other = (tiny.picture(64, 80, seed)[None] for seed in (1, 2))
    places = torch.rand(*GRID, 2, generator=tiny.generator(9)) * 7
    slopes = torch.eye(2).expand(*GRID, 2, 2)
    given = replace(pieces(image, other, Placement(places, slopes)), picture=other)
    first, again, another = (healed(given, tiny.generator(seed)) for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(another)


def test_a_large_picture_is_like_a_small_one():
    small, large = stripes(256, 320), stripes(512, 640)
    found = [
        healed(pieces(x, x.flip(-2), unmoved(GRID, CPU)), tiny.generator(5)) for x in (small, large)
    ]
    assert found[1].shape == large.shape
    halved = torch.nn.functional.interpolate(found[1], size=(256, 320), mode="area")
    assert (halved - found[0]).abs().mean() < 0.03


@pytest.mark.parametrize("size", [(261, 288), (265, 283), (512, 683)])
def test_sizes_that_round_otherwise_in_two_steps_than_in_one_pass(size):
    image = stripes(*size)
    found = healed(pieces(image, image, unmoved(GRID, CPU)), tiny.generator(7))
    assert (found - image).abs().mean() < 0.01


@pytest.mark.parametrize("size", [(16, 16), (20, 90), (5, 9)])
def test_small_and_flat_pictures_pass(size):
    flat = torch.full((1, 3, *size), 0.4)
    found = healed(pieces(flat, flat, unmoved(GRID, CPU)), tiny.generator(6))
    torch.testing.assert_close(found, flat, atol=1e-4, rtol=0)


def test_the_first_field_is_that_of_the_placement():
    places = torch.rand(*GRID, 2, generator=tiny.generator(7)) * 5
    slopes = torch.eye(2) + 0.2 * torch.randn(*GRID, 2, 2, generator=tiny.generator(8))
    slopes[::2, :, 1, 1] *= -1
    found = in_place(Placement(places, slopes), (19, 23), (6, 7), (30, 40))
    for row, column in np.ndindex(19, 23):
        at = (row + 0.5) / 19 * 8, (column + 0.5) / 23 * 10
        patch = int(at[0]), int(at[1])
        move = torch.tensor([at[0] - patch[0] - 0.5, at[1] - patch[1] - 0.5])
        place = places[patch] + slopes[patch] @ move + 0.5
        exact = place / torch.tensor([6.0, 7.0]) * torch.tensor([30.0, 40.0])
        there, beside = (int(min(max(x, 0), most)) for x, most in zip(exact, (29, 39), strict=True))
        page = int(slopes[patch][1, 1] < 0)
        near = found[:, row, column] - torch.tensor([page, there, 39 - beside if page else beside])
        assert near[0] == 0
        assert near.abs().max() <= 1, "but for rounding"


def test_light_counts_where_nothing_stronger_is_to_come():
    """Folds on the left of a picture, none on the right, and stripes all over the image."""
    row = torch.arange(64.0)[:, None].expand(64, 80)
    folds, bands = (0.5 + 0.3 * (row / 3).sin()), (0.5 + 0.3 * (row / 2).sin())
    folds = torch.where(torch.arange(80) < 40, folds, 0.5)
    given = pieces(bands.expand(1, 3, 64, 80), bands.expand(1, 3, 64, 80), unmoved(GRID, CPU))
    folds = folds.expand(1, 3, 64, 80)
    light = healing._Light(replace(given, picture=folds), 1.0)
    weight = light.guide(given.image, folds, 1, torch.zeros(1, 1, 64, 80)).weight[0, 0]
    assert weight[:, :24].mean() > 0.5 * 0.004
    assert weight[:, 56:].mean() < 0.1 * 0.004
    held = light.guide(given.image, folds, 1, torch.ones(1, 1, 64, 80)).weight
    assert held.abs().max() == 0
