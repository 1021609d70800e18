"""Codes of meaning and correspondence against slow computations and pairs made for it."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F

from splice.features import FrozenViT
from splice.semantics import find_semantics, order_of_light, transported
from splice.settings import Meaning


def meaning(**changes) -> Meaning:
    values = {
        "short_side": 56,
        "long_side": 224,
        "channels": 8,
        "radius": 0,
        "light": 0.0,
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


def test_codes_are_the_principal_axes_and_similarity_a_cosine(vit):
    pair = tiny.picture(40, 60, 1)[None], tiny.picture(50, 50, 2)[None]
    found = find_semantics(vit, *pair, meaning(channels=3))
    keys = [averaged_keys(vit, image) for image in pair]
    centred = [each - each.mean(0) for each in keys]
    for i in range(len(centred[0])):
        for j in (0, 5, 15):
            a, b = centred[0][i], centred[1][j]
            cosine = (a @ b) / (a.norm() * b.norm())
            assert found.similarity[i, j].item() == pytest.approx(cosine.item(), abs=1e-4)
    lit = find_semantics(vit, *pair, meaning(channels=3, light=0.3))
    lights = []
    for image, own, grid in zip(
        pair, centred, (found.structure_grid, found.appearance_grid), strict=True
    ):
        order = order_of_light(image, grid).double()
        light = []
        for i in range(len(own)):
            cosines = [float(own[i] @ k / (own[i].norm() * k.norm())) for k in own]
            powers = [np.exp(cosine / 0.1) for cosine in cosines]
            mean = sum(w * float(o) for w, o in zip(powers, order, strict=True)) / sum(powers)
            light.append(float(order[i]) - mean)
        lights.append(light)
    for i in (0, 3, 7):
        for j in (0, 5, 15):
            expected = float(found.similarity[i, j]) - 0.3 * abs(lights[0][i] - lights[1][j])
            assert lit.similarity[i, j].item() == pytest.approx(expected, abs=1e-4)
    # Scores on the principal axes by a singular value decomposition, up to their signs.
    left, _, _ = torch.linalg.svd(torch.cat(centred), full_matrices=False)
    scores = left[:, :3] * len(left) ** 0.5
    grid = scores[: len(centred[0])].T.reshape(1, 3, *found.structure_grid)
    expected = F.interpolate(grid, size=(40, 60), mode="bilinear", align_corners=False)[0]
    for code, axis in zip(found.structure_codes[0].double(), expected, strict=True):
        sign = torch.sign((code * axis).sum())
        torch.testing.assert_close(code, sign * axis, atol=2e-3, rtol=0)


def test_the_order_of_light_is_the_share_of_darker_patches():
    image = torch.rand(1, 3, 8, 12, generator=tiny.generator()).double()
    image[..., 4:, 6:] = 0.4  # equal patches
    patches = [
        image[0, :, r : r + 2, c : c + 2].mean((1, 2))
        for r in range(0, 8, 2)
        for c in range(0, 12, 2)
    ]
    light = [round(float(0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]), 9) for p in patches]
    found = order_of_light(image.round(decimals=12), (4, 6))
    expected = [
        sum((other < own) + (other == own) / 2 for other in light) / len(light) for own in light
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    exposed = order_of_light(0.2 + image / 2, (4, 6))
    torch.testing.assert_close(exposed, found)
    grey = torch.full((1, 3, 4, 4), 0.5)
    assert order_of_light(grey, (2, 2)).tolist() == [0.5] * 4


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
            likest = int(found.similarity[r * columns + c].argmax())
            assert likest == across
            assert found.similarity[r * columns + c, across].item() == pytest.approx(1, abs=1e-3)


def test_matches_are_those_of_the_surroundings(vit):
    pair = tiny.picture(56, 84, 1)[None], tiny.picture(70, 56, 2)[None]
    single, found = (find_semantics(vit, *pair, meaning(around=around)) for around in (0, 1))
    grids = single.structure_grid, single.appearance_grid
    joint = single.similarity.reshape(*grids[0], *grids[1])
    # Of patches inside, by hand: themselves, four beside them and four across corners.
    weights = {0: 1.0, 1: np.exp(-0.5 * 1.5**2), 2: np.exp(-(1.5**2))}
    means = []
    for facing in (1, -1):
        total = 0.0
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                moved = joint[1 + down, 2 + right, 1 + down, 1 + facing * right].item()
                total += weights[down**2 + right**2] * moved
        means.append(total / (1 + 4 * weights[1] + 4 * weights[2]))
    at = (grids[0][1] + 2, grids[1][1] + 1)
    assert found.similarity[at].item() == pytest.approx(max(means), abs=1e-5)


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
