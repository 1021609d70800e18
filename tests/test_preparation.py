"""What is found once for a pair, against slow computations."""

import math

import numpy as np
import pytest
import tiny
import torch

from splice.detail import detail_energy
from splice.preparation import Preparation

LUMA = np.array([0.299, 0.587, 0.114])


def means_of_parts(image: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Mean colours of the parts that a grid cuts a picture into, channels first; parts may overlap."""
    means = np.zeros((len(image), *grid))
    for row, column in np.ndindex(*grid):
        ends = [
            slice(side * i // count, math.ceil(side * (i + 1) / count))
            for i, count, side in zip((row, column), grid, image.shape[1:], strict=True)
        ]
        means[:, row, column] = image[(slice(None), *ends)].mean((1, 2))
    return means


def bilinear(coarse: np.ndarray, height: int, width: int) -> np.ndarray:
    """Values between the centres of parts; beyond the outermost centres, theirs."""
    rows = np.clip((np.arange(height) + 0.5) / height * len(coarse) - 0.5, 0, len(coarse) - 1)
    count = coarse.shape[1]
    columns = np.clip((np.arange(width) + 0.5) / width * count - 0.5, 0, count - 1)
    down = np.stack([np.interp(rows, np.arange(len(coarse)), line) for line in coarse.T], 1)
    return np.stack([np.interp(columns, np.arange(count), line) for line in down])


def test_light_turns_where_the_corresponding_parts_have_it_the_other_way_round():
    structure, appearance = tiny.picture(70, 98, 1), tiny.picture(84, 70, 11)
    meaning = {"short_side": 140, "long_side": 196, "stretch": 0.0, "tear": 0.0}
    settings = tiny.settings(meaning=meaning)
    prepared = Preparation(structure[None], appearance[None], settings, tiny.frozen())
    grid, other_grid = prepared.semantics.structure_grid, prepared.semantics.appearance_grid
    matches = prepared.matches.double().numpy()
    colours = means_of_parts(appearance.double().numpy(), other_grid).reshape(3, -1)
    wanted = np.zeros((3, *grid))
    for patch, (row, column) in enumerate(np.ndindex(*grid)):
        for other, share in enumerate(matches[patch]):
            wanted[:, row, column] += share * colours[:, other]
    before = np.tensordot(LUMA, means_of_parts(structure.double().numpy(), grid), 1)
    after = np.tensordot(LUMA, wanted, 1)
    turned = np.zeros(grid)
    for row, column in np.ndindex(*grid):
        around = np.s_[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        spread = before[around] - before[around].mean(), after[around] - after[around].mean()
        # As in the term, variances of less than a rounding are no light at all.
        variances = [(part**2).mean() + 1e-5 for part in spread]
        correlation = (spread[0] * spread[1]).mean() / math.sqrt(variances[0] * variances[1])
        turned[row, column] = min(max(-2 * correlation, 0), 1)
    expected = bilinear(turned, *structure.shape[1:])
    assert turned.min() < 0.2 and turned.max() > 0.5, "a pair with both"
    np.testing.assert_allclose(prepared.turned[0, 0].numpy(), expected, atol=5e-3)


def test_detail_is_as_strong_as_in_the_corresponding_parts():
    structure, appearance = tiny.picture(70, 98, 1), tiny.picture(84, 70, 11)
    settings = tiny.settings(
        meaning={"short_side": 70, "long_side": 98}, objective={"detail": {"scales": (1.0, 2.0)}}
    )
    prepared = Preparation(structure[None], appearance[None], settings, tiny.frozen())
    assert list(prepared.details) == [1.0, 2.0]
    for scale, found in prepared.details.items():
        # A picture half as large, each pixel the mean of four.
        level = appearance if scale == 1 else appearance.reshape(3, 42, 2, 35, 2).mean((2, 4))
        energy = detail_energy(level[None])[0].double().numpy()
        strength = np.sqrt(means_of_parts(energy, prepared.semantics.appearance_grid))
        wanted = strength.reshape(3, -1) @ prepared.matches.double().numpy().T
        wanted = wanted.reshape(3, *prepared.semantics.structure_grid)
        expected = [bilinear(channel, *structure.shape[1:]) for channel in wanted]
        np.testing.assert_allclose(found[0].numpy(), np.stack(expected), atol=1e-4)


@pytest.mark.parametrize("role", ["structure", "appearance"])
def test_colours_are_the_means_of_parts_that_mean_the_same_but_never_of_the_part_itself(role):
    structure, appearance = tiny.picture(70, 98, 1), tiny.picture(112, 84, 11)
    meaning = {"short_side": 112, "long_side": 196, "radius": 0, "around": 0, "reach": 0.0}
    settings = tiny.settings(meaning=meaning | {"breadth": 0.1})
    prepared = Preparation(structure[None], appearance[None], settings, tiny.frozen())
    found = prepared.semantics
    other_grid = found.appearance_grid
    alike = (found.likeness if role == "structure" else found.own_likeness).double().numpy()
    if role == "appearance":
        places = list(np.ndindex(*other_grid))
        for one, here in enumerate(places):
            for other, there in enumerate(places):
                if max(abs(here[0] - there[0]), abs(here[1] - there[1])) <= 3:
                    alike[:, one, other] = -4
        assert (alike > -4).any((0, 2)).mean() > 0.5, "most have parts like them elsewhere"
    alike = alike.max(0)  # as it is or in the mirror
    powers = np.exp((alike - alike.max(1, keepdims=True)) / 0.1)
    colours = means_of_parts(appearance.double().numpy(), other_grid).reshape(3, -1)
    means = colours @ (powers / powers.sum(1, keepdims=True)).T
    means = means.reshape(3, *found.grid(role))
    size = (structure if role == "structure" else appearance).shape[1:]
    expected = np.stack([bilinear(channel, *size) for channel in means])
    np.testing.assert_allclose(prepared.colours[role][0].numpy(), expected, atol=1e-4)
    codes = means_of_parts(found.appearance_codes[0, :8].double().numpy(), other_grid)
    means = codes.reshape(len(codes), -1) @ (powers / powers.sum(1, keepdims=True)).T
    expected = np.stack([bilinear(channel.reshape(found.grid(role)), *size) for channel in means])
    np.testing.assert_allclose(prepared.meanings[role][0].numpy(), expected, atol=1e-3)


def test_many_that_would_take_the_same_share_it_out():
    """A reach makes patches of the appearance image more equally taken, before neighbours settle."""
    pair = tiny.picture(70, 98, 1)[None], tiny.picture(112, 84, 11)[None]
    spread = []
    for reach in (0.0, 0.5):
        meaning = {"short_side": 112, "reach": reach, "stretch": 0.0, "tear": 0.0}
        prepared = Preparation(*pair, tiny.settings(meaning=meaning), tiny.frozen())
        torch.testing.assert_close(prepared.matches.sum(1), torch.ones(len(prepared.matches)))
        spread.append(prepared.matches.sum(0).std().item())
    assert spread[1] < 0.8 * spread[0]
