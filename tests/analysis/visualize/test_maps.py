"""Maps of features and of similarity, and how they are laid over a picture."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_features import flat, random

from splice.analysis.visualize import (
    feature_map,
    heat_map,
    mark_point,
    over_picture,
    patch_at,
    similarity_maps,
)
from splice.backbones.features import Features
from splice.errors import InputError

# Maps


def test_feature_maps_leave_out_cls_and_run_row_by_row():
    keys = random(2, 1 + 6, 4)
    laid = feature_map(Features((2, 3), keys={5: keys}), "keys", 5)
    assert torch.equal(laid[1, 0, 2], keys[1, 1 + 2])
    assert torch.equal(laid[0, 1, 0], keys[0, 1 + 3])
    tokens = random(2, 6, 4)
    assert torch.equal(
        feature_map(Features((2, 3), tokens={5: tokens}), "tokens", 5), tokens.view(2, 2, 3, 4)
    )


def test_similarity_is_the_cosine_with_the_chosen_patch():
    maps = [random(3, 4, 7), random(2, 5, 7, seed=1)]
    here, there = similarity_maps(maps, 1, 0, 3)
    assert there[0, 3].item() == pytest.approx(1)
    a, b = maps[1][0, 3].numpy(), maps[0][2, 1].numpy()
    assert here[2, 1].item() == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-5)


@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(1, 30), st.integers(1, 30),
    st.floats(0, 0.999), st.floats(0, 0.999),
)  # fmt: skip
def test_the_patch_at_a_point_covers_it(width, height, rows, columns, right, down):
    x, y = right * width, down * height
    row, column = patch_at(x, y, width, height, (rows, columns))
    assert row * height / rows - 1e-6 <= y <= (row + 1) * height / rows + 1e-6
    assert column * width / columns - 1e-6 <= x <= (column + 1) * width / columns + 1e-6
    assert 0 <= row < rows and 0 <= column < columns


def test_a_point_outside_names_the_range():
    with pytest.raises(InputError, match=r"40,5 lies outside.*X from 0 to 39 and Y from 0 to 29"):
        patch_at(40, 5, 40, 30, (3, 4))


def test_heat_runs_from_dark_to_bright():
    values = torch.linspace(-2, 3, 12).view(3, 4)
    light = heat_map(values).sum(0)
    assert (light.flatten().diff() > 0).all()
    clipped = heat_map(values, low=0, high=1)
    assert torch.equal(clipped[:, 0, 0], clipped[:, 0, 1])  # both below the range
    assert heat_map(torch.ones(2, 2)).isfinite().all()


def test_colours_are_enlarged_flat_or_smoothly():
    patches = torch.rand(3, 2, 3, generator=torch.Generator().manual_seed(0))
    enlarged = np.array(over_picture(patches, (30, 20), smooth=False))
    expected = (patches * 255).round().byte().permute(1, 2, 0).numpy()
    assert (enlarged[:10, 10:20] == expected[0, 1]).all()
    smooth = np.array(over_picture(patches, (30, 20)))
    assert smooth.shape == (20, 30, 3)
    assert len(np.unique(smooth.reshape(-1, 3), axis=0)) > 6


def test_marks_leave_the_picture_alone():
    picture = flat((90, 90, 90))
    marked = np.array(mark_point(picture, 20, 15))
    assert (np.array(picture) == 90).all()
    changed = np.argwhere((marked != 90).any(2))
    np.testing.assert_allclose(changed.mean(0), [15, 20], atol=0.6)
    assert (marked[15, 20] == 90).all()  # a ring, so that what it marks is seen
