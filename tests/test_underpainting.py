"""What the generator starts from, against guided filters and windows of NumPy."""

import numpy as np
import pytest
import tiny
import torch

from splice.guided_filter import guided_upsampling
from splice.objective import brightness
from splice.preparation import Preparation
from splice.underpainting import Underpainting, smooth_part, underpainting
from splice.views import View, entire


def test_the_smooth_part_is_a_guided_filter_whose_windows_grow_with_the_picture():
    guide, maps = tiny.picture(128, 160, 1)[None], tiny.picture(128, 160, 2)[None]
    expected = guided_upsampling(maps, guide, 4, 0.2)
    torch.testing.assert_close(smooth_part(maps, guide, 8), expected)
    assert not torch.allclose(smooth_part(maps, guide, 16), expected, atol=1e-3)


def test_detail_lies_over_the_ground():
    ground, detail = torch.full((1, 3, 4, 6), 0.4), torch.zeros(1, 1, 4, 6)
    detail[..., 1, 2], detail[..., 2, 2], detail[..., 3, 3] = 0.2, -0.9, 0.9
    layers = Underpainting(ground, torch.full((1, 1, 4, 6), 0.75), detail)
    found = layers.logits(entire(ground)).sigmoid()[0, 0]
    assert found[0, 0].item() == pytest.approx(0.4)
    assert found[1, 2].item() == pytest.approx(0.55)
    # What is out of range keeps away from the ends, where logits would be infinite.
    assert found[2, 2].item() == pytest.approx(0.02)
    assert found[3, 3].item() == pytest.approx(0.98)
    view = View(1, 2, 2, 3, flip=True)
    part = layers.logits(view).sigmoid()[0, 0]
    torch.testing.assert_close(part, found[1:3, 2:5].flip(-1))
    # Of coloured detail the brightness counts: 0.299 of 0.5 and 0.114 of -0.3.
    coloured = torch.tensor([0.5, 0.0, -0.3]).reshape(1, 3, 1, 1).expand(1, 3, 2, 3)
    other = layers.logits(view, coloured).sigmoid()
    torch.testing.assert_close(other, torch.full((1, 3, 2, 3), 0.4 + 0.75 * (0.1495 - 0.0342)))


def luma(x: np.ndarray) -> np.ndarray:
    return np.tensordot([0.299, 0.587, 0.114], x, 1)


def around(x: np.ndarray, row: int, column: int, radius: int) -> np.ndarray:
    rows = slice(max(0, row - radius), row + radius + 1)
    return x[..., rows, max(0, column - radius) : column + radius + 1]


@pytest.mark.parametrize("role", ["structure", "appearance"])
def test_the_stronger_detail_is_taken_but_outlines_are_the_pictures_own(role):
    pictures = tiny.picture(70, 98, 1)[None], tiny.picture(84, 70, 2)[None]
    prepared = Preparation(*pictures, tiny.settings(), tiny.frozen())
    picture = pictures[role == "appearance"]
    collage, layers = prepared.collages[role], prepared.underpaintings[role]
    colours = prepared.colours[role]
    smooth = [guided_upsampling(x, picture, 5, 0.2) for x in (collage, picture)]
    theirs, own = (
        (x - y)[0].double().numpy() for x, y in zip((collage, picture), smooth, strict=True)
    )
    codes = prepared.semantics.codes(role)[0].double().numpy()
    distinct = torch.nn.functional.interpolate(
        prepared._correspondences[role].distinct, size=picture.shape[-2:], mode="bilinear"
    )[0, 0].numpy()
    found = layers.logits(entire(picture)).sigmoid()[0].double().numpy()
    shares = []
    for row, column in np.ndindex(*picture.shape[-2:]):
        rare = distinct[row, column]
        strength = [(around(luma(x), row, column, 4) ** 2).mean() for x in (theirs, own)]
        change = around(codes, row, column, 3).reshape(len(codes), -1).var(1).mean()
        outline = change / (change + 0.05)
        laid = 1 - (0.8 * (1 - rare) + 0.1 * rare) * outline
        own_share = 0.3 * (1 - rare) + 0.03 * rare
        taken = laid * strength[0] / (strength[0] + own_share * strength[1] + 1e-4)
        stronger = np.sqrt((strength[0] + 1e-4) / (strength[1] + 1e-4))
        stronger = np.clip(stronger, 0.5 * (1 - rare) + 0.25 * rare, 2)
        share = (1 - taken) * (outline + (1 - outline) * stronger)
        detail = taken * theirs[:, row, column] + share * luma(own[:, row, column])
        mean = colours[0, :, row, column].double().numpy()
        flat = smooth[0][0, :, row, column].double().numpy()
        expected = np.clip(mean + laid * (flat - mean) + detail, 0.02, 0.98)
        np.testing.assert_allclose(found[:, row, column], expected, atol=2e-4)
        shares.append(taken)
    assert max(shares) - min(shares) > 0.03, "places differ"


def test_a_picture_that_is_to_look_like_itself_is_painted_over_itself():
    picture = 0.1 + 0.8 * tiny.picture(60, 80, 3)[None]
    codes = torch.randn(1, 4, 60, 80, generator=tiny.generator())
    found = (
        underpainting(
            picture,
            smooth_part(picture, picture, 8),
            picture,
            torch.rand(1, 1, 4, 5),
            codes,
            8,
        )
        .logits(entire(picture))
        .sigmoid()
    )
    torch.testing.assert_close(brightness(found), brightness(picture), atol=1e-5, rtol=0)


def test_shares_of_a_large_picture_are_those_of_a_small_one():
    small, collage = tiny.picture(256, 300, 1)[None], tiny.picture(256, 300, 2)[None]
    colours = torch.zeros_like(small)
    codes = torch.randn(1, 3, 8, 8, generator=tiny.generator())
    codes = torch.nn.functional.interpolate(codes, size=(256, 300), mode="bilinear")
    twice = [x.repeat_interleave(2, -1).repeat_interleave(2, -2) for x in (small, collage, codes)]
    distinct = torch.rand(1, 1, 4, 5, generator=tiny.generator())
    expected = underpainting(small, colours, collage, distinct, codes, 8).share
    found = underpainting(twice[0], twice[0], twice[1], distinct, twice[2], 8).share
    assert (found[..., ::2, ::2] - expected).abs().mean() < 0.02


def test_a_slope_keeps_its_relief_and_a_face_gets_the_collages():
    """Detail twice as strong in the picture as in the collage, in common parts and in distinct ones."""
    wave = torch.linspace(0, 40 * torch.pi, 128).sin().expand(1, 3, 64, 128)
    picture, collage = 0.5 + 0.2 * wave, 0.5 + 0.1 * wave.roll(1, -1)
    distinct, codes = torch.zeros(1, 1, 2, 4), torch.zeros(1, 4, 64, 128)
    distinct[..., 2:] = 1
    found = underpainting(picture, 0 * picture, collage, distinct, codes, 8).share
    # The collage is taken by v / (v + 0.3 · 4 v) and v / (v + 0.03 · 4 v); own detail, halved, has the
    # rest.
    left, right = (
        found[0, 0, 20:44, columns].mean().item() for columns in (slice(12, 30), slice(98, 116))
    )
    assert left == pytest.approx(0.5 * (1 - 1 / 2.2), abs=0.03)
    assert right == pytest.approx(0.5 * (1 - 1 / 1.12), abs=0.02)
