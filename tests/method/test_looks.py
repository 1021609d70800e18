"""Looks at a painting: where they are, what the structure image shows in them."""

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from splice.backbones.features import Features
from splice.backbones.frozen_vit import FrozenViT
from splice.method.looks import Look, draw_looks
from splice.method.semantics import LONG_SIDE

STRUCTURE = tiny.picture(112, 140, 1)[None]
GRID = (6, 8)


def draw(vit: FrozenViT, side: int = 84, seed: int = 3, image: Tensor = STRUCTURE) -> list[Look]:
    def see(part: Tensor, short_side: int) -> Features:
        sides = {"short_side": short_side, "long_side": LONG_SIDE}
        return vit(part, keys=[vit.blocks], tokens=[2], **sides)

    return draw_looks(image, see, vit.patch, side, GRID, seed)


@pytest.fixture(scope="module")
def looks(vit) -> list[Look]:
    return draw(vit)


def test_there_is_a_dozen_half_of_them_in_the_mirror(looks):
    assert len(looks) == 12
    assert sum(look.view.flip for look in looks) == 6


def test_looks_are_about_as_large_as_is_said(looks, vit):
    sides = [look.short_side for look in looks]
    assert all(side % tiny.PATCH == 0 for side in sides)
    # From 0.8 to 1.2 of 84 pixels, cut down to whole patches of 14.
    assert {70, 84} <= set(sides) <= {56, 70, 84, 98}
    for look in draw(vit, 32, 0):
        assert look.short_side in (14, 28)


def test_looks_leave_out_a_few_rows_and_columns_at_the_top_and_left(looks):
    """Less than 14 for each 256 pixels of the short side, 6 here."""
    for look in looks:
        view = look.view
        assert 0 <= view.top < 6
        assert 0 <= view.left < 6
        assert (view.top + view.height, view.left + view.width) == (112, 140)
    assert len({(look.view.top, look.view.left) for look in looks}) > 6


def test_the_similarity_is_that_of_the_view_s_keys(looks, vit):
    for look in (looks[0], looks[5]):
        view = look.view
        part = STRUCTURE[:, :, view.top :, view.left :]
        part = part.flip(-1) if view.flip else part
        seen = vit(part, keys=[4], short_side=look.short_side, long_side=LONG_SIDE)
        keys = seen.keys[4][0].double().numpy()
        norms = np.linalg.norm(keys, axis=1)
        expected = keys @ keys.T / np.outer(norms, norms)
        np.testing.assert_allclose(look.similarity[0].numpy(), expected, atol=1e-5)


def test_tokens_and_colours_are_those_of_the_view_s_patches(looks, vit):
    for look in (looks[0], looks[5]):
        part = look.view.cut(STRUCTURE)
        seen = vit(part, tokens=[2], short_side=look.short_side, long_side=LONG_SIDE)
        assert torch.equal(look.tokens[2], seen.tokens[2][0])
        # At a size that is a whole number of pixels a patch, means are means of rectangles.
        rows, columns = seen.grid
        double = torch.nn.functional.interpolate(part, (rows * 12, columns * 12), mode="nearest")
        means = double.view(3, rows, 12, columns, 12).mean((2, 4)).flatten(1).T
        torch.testing.assert_close(look.colours, means, atol=0.05, rtol=0)


def test_patches_are_those_under_the_middles_of_what_is_seen(looks, vit):
    """By a loop over rows and columns, with a picture that tells where its pixels are."""
    assert {look.view.flip for look in looks} == {False, True}
    for look in looks:
        view = look.view
        part = view.cut(STRUCTURE)
        rows, columns = vit(part, keys=[1], short_side=look.short_side, long_side=LONG_SIDE).grid
        assert len(look.patches) == rows * columns
        for row in range(rows):
            for column in range(columns):
                down = view.top + (row + 0.5) / rows * view.height
                right = (column + 0.5) / columns * view.width
                right = 140 - right if view.flip else view.left + right
                expected = int(down / 112 * GRID[0]) * GRID[1] + int(right / 140 * GRID[1])
                assert look.patches[row * columns + column].item() == expected


def test_a_look_in_the_mirror_runs_through_patches_from_right_to_left(looks):
    columns = [look.patches[: 2 * look.short_side // tiny.PATCH // 2] % GRID[1] for look in looks]
    for look, across in zip(looks, columns, strict=True):
        steps = across.diff()
        assert bool((steps <= 0).all() if look.view.flip else (steps >= 0).all())


def test_looks_are_the_seeds(looks, vit):
    same, other = (draw(vit, seed=seed) for seed in (3, 4))
    assert [look.view for look in same] == [look.view for look in looks]
    assert all(torch.equal(a.similarity, b.similarity) for a, b in zip(same, looks, strict=True))
    assert [look.view for look in other] != [look.view for look in looks]


@pytest.mark.parametrize("size", [(16, 16), (16, 128), (128, 16)])
def test_small_and_long_pictures_are_seen_whole(vit, size):
    for look in draw(vit, 56, 0, tiny.picture(*size)[None]):
        assert (look.view.top, look.view.left) == (0, 0)
        assert (look.view.height, look.view.width) == size
        assert 0 <= int(look.patches.min()) <= int(look.patches.max()) < GRID[0] * GRID[1]
