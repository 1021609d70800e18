"""Codes of meaning and likeness of patches against slow computations in float64."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

from splice.backbones.frozen_vit import FrozenViT
from splice.method import semantics
from splice.method.correspondence import correspondence
from splice.method.semantics import LONG_SIDE
from splice.method.settings import Meaning


def meaning(**changes) -> Meaning:
    return Meaning(**{"short_side": 56, "channels": 8, "depths": (1.0,), **changes})


@pytest.fixture
def plain(monkeypatch) -> None:
    tiny.leave_edges(monkeypatch, semantics)


PAIR = tiny.picture(40, 60, 1)[None], tiny.picture(50, 50, 2)[None]


def averaged(vit: FrozenViT, image: Tensor, block: int, kind: str) -> np.ndarray:
    """Features of patches, each averaged with that of its place in the mirror image, by a loop."""
    straight, mirrored = (
        vit(x, **{kind: [block]}, short_side=56, long_side=LONG_SIDE)
        for x in (image, image.flip(-1))
    )
    first = 1 if kind == "keys" else 0
    rows, columns = straight.grid
    found = []
    for row in range(rows):
        for column in range(columns):
            here = first + row * columns + column
            there = first + row * columns + columns - 1 - column
            found.append(getattr(straight, kind)[block][0, here])
            found[-1] = (found[-1] + getattr(mirrored, kind)[block][0, there]) / 2
    features = torch.stack(found).double().numpy()
    return features - features.mean(0)


def test_tokens_are_the_blocks_unit_tokens_side_by_side(vit):
    """So that the product of two is the mean cosine of the blocks."""
    found = tiny.semantics_of(vit, *PAIR, PAIR[0], meaning(depths=(0.5, 0.75, 1.0)))
    assert found.structure_grid == (4, 6)
    assert found.patches[0].grid == (4, 4)
    expected = np.zeros((24, 16))
    for block in (2, 3, 4):
        ours, theirs = (averaged(vit, image, block, "tokens") for image in PAIR)
        for i, a in enumerate(ours):
            for j, b in enumerate(theirs):
                expected[i, j] += a @ b / np.sqrt((a @ a) * (b @ b)) / 3
    assert expected.std() > 0.05
    np.testing.assert_allclose(found.tokens[0] @ found.tokens[1].T, expected, atol=1e-3)
    wanted = correspondence(*found.tokens, (4, 6), (4, 4))
    assert torch.equal(found.likeness, wanted)


@pytest.mark.usefixtures("plain")
def test_codes_are_whitened_over_both_pictures(vit):
    # As many pixels as patches: upsampling changes nothing then.
    pair = tiny.picture(16, 16, 1)[None], tiny.picture(16, 20, 2)[None]
    ours = tiny.semantics_of(vit, *pair, pair[0], meaning(short_side=224))
    assert ours.structure_grid == (16, 16)
    assert ours.patches[0].grid == (16, 20)
    theirs = tiny.semantics_of(vit, *pair[::-1], pair[1], meaning(short_side=224))
    both = torch.cat([each.codes[0].flatten(1) for each in (ours, theirs)], 1).double()
    assert both.shape == (8, 16 * 16 + 16 * 20)
    torch.testing.assert_close(both.mean(1), torch.zeros(8).double(), atol=1e-4, rtol=0)
    covariance = both @ both.T / both.shape[1]
    torch.testing.assert_close(covariance, torch.eye(8).double(), atol=1e-3, rtol=0)


@pytest.mark.usefixtures("plain")
def test_codes_are_the_principal_axes_of_the_deepest_keys(vit):
    found = tiny.semantics_of(vit, *PAIR, PAIR[0], meaning(channels=3))
    ours, theirs = (averaged(vit, image, 4, "keys") for image in PAIR)
    # Scores on the principal axes by a singular value decomposition, up to their signs.
    left, _, _ = np.linalg.svd(np.concatenate([ours, theirs]), full_matrices=False)
    scores = left[: len(ours), :3] * len(left) ** 0.5
    grid = torch.from_numpy(scores).T.reshape(1, 3, *found.structure_grid)
    expected = F.interpolate(grid, size=(40, 60), mode="bilinear", align_corners=False)[0]
    for code, axis in zip(found.codes[0].double(), expected, strict=True):
        sign = torch.sign((code * axis).sum())
        torch.testing.assert_close(code, sign * axis, atol=2e-3, rtol=0)


def test_the_mirror_image_has_mirrored_codes_and_likeness(vit):
    """Position matters to the transformer; the mean with the mirror image has no side."""
    image = tiny.picture(56, 70, 1)[None]
    ours = tiny.semantics_of(vit, image, image.flip(-1), image, meaning())
    theirs = tiny.semantics_of(vit, image.flip(-1), image, image.flip(-1), meaning())
    torch.testing.assert_close(theirs.codes, ours.codes.flip(-1), atol=2e-3, rtol=0)
    rows, columns = ours.structure_grid
    for row in range(rows):
        for column in range(columns):
            facing = ours.likeness[row * columns + column].argmax().item()
            assert facing == row * columns + columns - 1 - column


def test_codes_have_the_edges_of_the_structure_image(vit):
    image = torch.cat([torch.zeros(1, 3, 56, 25), torch.ones(1, 3, 56, 31)], -1)
    codes = tiny.semantics_of(vit, image, PAIR[1], image, meaning()).codes
    steps = (codes[..., 1:] - codes[..., :-1]).abs().mean((0, 1, 2))
    assert steps.argmax() == 24
    assert steps[24] > 5 * steps.median()


def test_there_are_no_more_codes_than_keys_have_channels(vit):
    found = tiny.semantics_of(vit, *PAIR, PAIR[0], meaning(channels=300))
    assert found.codes.shape == (1, tiny.WIDTH, 40, 60)
    assert bool(torch.isfinite(found.codes).all())


def test_codes_of_patches_are_means_of_their_pixels():
    codes = torch.randn(1, 5, 12, 20, generator=tiny.generator())
    of_pair = tiny.semantics(codes, torch.zeros(15, 4), (3, 5), (2, 2))
    found = of_pair.patch_codes(2)
    assert found.shape == (15, 2)
    for row in range(3):
        for column in range(5):
            part = codes[0, :2, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            torch.testing.assert_close(found[5 * row + column], part.mean((1, 2)))
