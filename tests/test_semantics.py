"""Codes of meaning and correspondence against slow computations and pairs made for it."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F

from splice.features import FrozenViT
from splice.semantics import find_semantics, transported
from splice.settings import Meaning


def meaning(**changes) -> Meaning:
    values = {
        "short_side": 56,
        "long_side": 224,
        "channels": 8,
        "radius": 0,
        "depths": (1.0,),
        "around": 0,
    }
    return Meaning(**{**values, **changes})


@pytest.fixture(scope="module")
def vit() -> FrozenViT:
    return tiny.frozen()


def test_codes_are_whitened_over_both_pictures(vit):
    # As many pixels as patches: upsampling changes nothing then.
    pair = tiny.picture(16, 16, 1)[None], tiny.picture(16, 20, 2)[None]
    found = find_semantics(vit, *pair, meaning(short_side=224, long_side=280))
    assert found.structure_grid == (16, 16)
    assert found.appearance_grid == (16, 20)
    codes = [found.structure_codes, found.appearance_codes]
    both = torch.cat([each[0].flatten(1) for each in codes], 1).double()
    assert both.shape == (8, 16 * 16 + 16 * 20)
    torch.testing.assert_close(both.mean(1), torch.zeros(8).double(), atol=1e-4, rtol=0)
    covariance = both @ both.T / both.shape[1]
    torch.testing.assert_close(covariance, torch.eye(8).double(), atol=1e-3, rtol=0)
    assert torch.equal(found.codes("structure"), found.structure_codes)
    assert torch.equal(found.codes("appearance"), found.appearance_codes)


def averaged_keys(vit: FrozenViT, image: torch.Tensor) -> torch.Tensor:
    """Deepest keys, each averaged with that of the same part in the mirror image, by a loop."""
    straight, mirrored = (
        vit(x, keys=[4], short_side=56, long_side=224) for x in (image, image.flip(-1))
    )
    rows, columns = straight.grid
    return torch.stack(
        [
            (
                straight.keys[4][0, 1 + r * columns + c]
                + mirrored.keys[4][0, 1 + r * columns + columns - 1 - c]
            )
            / 2
            for r in range(rows)
            for c in range(columns)
        ]
    ).double()


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def centred_keys(vit: FrozenViT, image: torch.Tensor, block: int) -> tuple[torch.Tensor, int]:
    """Keys less their mean, by direction, row and column; in the mirror columns run backwards."""
    both = [vit(x, keys=[block], short_side=56, long_side=224) for x in (image, image.flip(-1))]
    rows, columns = both[0].grid
    keys = torch.stack([x.keys[block][0, 1:] for x in both]).double().reshape(2, rows, columns, -1)
    return keys - keys.mean((0, 1, 2)), columns


def test_likeness_compares_left_with_left_and_in_the_mirror_left_with_right(vit):
    pair = tiny.picture(40, 60, 1)[None], tiny.picture(50, 50, 2)[None]
    found = find_semantics(vit, *pair, meaning(depths=(0.5, 1.0)))
    rows, columns = found.structure_grid
    others, across = found.appearance_grid
    for likeness, own in ((found.likeness, pair[0]), (found.own_likeness, pair[1])):
        grid = (rows, columns) if own is pair[0] else (others, across)
        assert likeness.shape == (2, grid[0] * grid[1], others * across)
        for r, c, row, column in ((0, 0, 0, 0), (1, 3, 2, 0), (grid[0] - 1, 1, 1, across - 1)):
            straight = mirrored = 0.0
            for block in (2, 4):
                (mine, width), (other, wide) = (centred_keys(vit, x, block) for x in (own, pair[1]))
                # The same part seen as it is, and in the mirror.
                a, b = mine[0, r, c], mine[1, r, width - 1 - c]
                x, y = other[0, row, column], other[1, row, wide - 1 - column]
                straight += (cosine(a, x) + cosine(b, y)) / 4
                mirrored += (cosine(a, y) + cosine(b, x)) / 4
            values = likeness[:, r * grid[1] + c, row * across + column].tolist()
            assert values == pytest.approx([straight, mirrored], abs=1e-4)
    assert found.similarity.equal(torch.maximum(found.likeness[0], found.likeness[1]))


def test_codes_are_the_principal_axes(vit):
    pair = tiny.picture(40, 60, 1)[None], tiny.picture(50, 50, 2)[None]
    found = find_semantics(vit, *pair, meaning(channels=3))
    keys = [averaged_keys(vit, image) for image in pair]
    centred = [each - each.mean(0) for each in keys]
    # Scores on the principal axes by a singular value decomposition, up to their signs.
    left, _, _ = torch.linalg.svd(torch.cat(centred), full_matrices=False)
    scores = left[:, :3] * len(left) ** 0.5
    grid = scores[: len(centred[0])].T.reshape(1, 3, *found.structure_grid)
    expected = F.interpolate(grid, size=(40, 60), mode="bilinear", align_corners=False)[0]
    for code, axis in zip(found.structure_codes[0].double(), expected, strict=True):
        sign = torch.sign((code * axis).sum())
        torch.testing.assert_close(code, sign * axis, atol=2e-3, rtol=0)


def test_the_mirror_image_has_mirrored_codes(vit):
    image = tiny.picture(56, 70, 1)[None]
    found = find_semantics(vit, image, image.flip(-1), meaning(radius=3))
    torch.testing.assert_close(
        found.appearance_codes, found.structure_codes.flip(-1), atol=2e-3, rtol=0
    )
    rows, columns = found.structure_grid
    for r in range(rows):
        for c in range(columns):
            across = r * columns + columns - 1 - c
            facing = found.likeness[:, r * columns + c]
            assert facing.argmax() == rows * columns + across, "as the mirror shows it"
            assert facing[1, across].item() == pytest.approx(1, abs=1e-3)


def test_matches_are_those_of_the_surroundings(vit):
    pair = tiny.picture(56, 84, 1)[None], tiny.picture(70, 56, 2)[None]
    single, found = (find_semantics(vit, *pair, meaning(around=around)) for around in (0, 1))
    grids = single.structure_grid, single.appearance_grid
    joint = single.likeness.reshape(2, *grids[0], *grids[1])
    # Of patches inside, by hand: themselves, four beside them and four across corners.
    weights = {0: 1.0, 1: np.exp(-0.5 * 1.5**2), 2: np.exp(-(1.5**2))}
    at = (grids[0][1] + 2, grids[1][1] + 1)
    for mirrored, facing in ((0, 1), (1, -1)):
        total = 0.0
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                moved = joint[mirrored, 1 + down, 2 + right, 1 + down, 1 + facing * right].item()
                total += weights[down**2 + right**2] * moved
        mean = total / (1 + 4 * weights[1] + 4 * weights[2])
        assert found.likeness[(mirrored, *at)].item() == pytest.approx(mean, abs=1e-5)


def test_the_same_part_elsewhere_has_the_same_code():
    """Without positions, patches in another order keep their keys."""
    vit = tiny.frozen(tiny.standard(pos_embed="none"))
    image = torch.rand(1, 3, 56, 56, generator=tiny.generator())
    order = torch.randperm(16, generator=tiny.generator(1))
    patches = F.unfold(image, 14, stride=14)
    shuffled = F.fold(patches[:, :, order], (56, 56), 14, stride=14)
    found = find_semantics(vit, image, shuffled, meaning())
    assert torch.equal(found.similarity.argmax(0), order)
    torch.testing.assert_close(found.similarity[order, torch.arange(16)], torch.ones(16))


def test_a_picture_and_itself(vit):
    image = tiny.picture(30, 30)[None]
    found = find_semantics(vit, image, image, meaning(channels=300))
    assert found.structure_codes.shape[1] <= 32
    assert bool(torch.isfinite(found.structure_codes).all())
    assert torch.equal(found.structure_codes, found.appearance_codes)


@pytest.mark.parametrize("size", [(12, 10), (13, 11)])
def test_transported_against_a_loop(size):
    colours = torch.rand(1, 3, *size, generator=tiny.generator())
    grid, other = (2, 3), (4, 5)
    matches = torch.rand(6, 20, generator=tiny.generator(1)).softmax(-1)
    found = transported(colours, matches, grid, other)
    assert found.shape == (1, 3, 2, 3)
    for patch in range(6):
        for channel in range(3):
            expected = 0.0
            for r in range(4):
                for c in range(5):
                    top, bottom = r * size[0] // 4, -(-(r + 1) * size[0] // 4)
                    left, right = c * size[1] // 5, -(-(c + 1) * size[1] // 5)
                    mean = colours[0, channel, top:bottom, left:right].mean()
                    expected += float(matches[patch, r * 5 + c] * mean)
            value = found[0, channel, patch // 3, patch % 3].item()
            assert value == pytest.approx(expected, rel=1e-5)
