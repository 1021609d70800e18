"""Detail against windows in a loop, and what it does not tell."""

import numpy as np
import pytest
import tiny
import torch

from splice.method.detail import detail_of, foreign_detail


@pytest.mark.parametrize("radius", [1, 2, 9])
def test_detail_is_the_brightness_in_its_window_in_a_loop(radius):
    image = tiny.picture(9, 12, 1)[None]
    light = np.tensordot([0.299, 0.587, 0.114], image[0].double().numpy(), 1)
    expected = np.empty((9, 12))
    for row, column in np.ndindex(9, 12):
        around = light[
            max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1
        ]
        expected[row, column] = (light[row, column] - around.mean()) / np.sqrt(around.var() + 1e-3)
    found = detail_of(image, [radius], 1e-3)
    assert found.shape == (1, 1, 9, 12)
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=2e-4)


def test_there_is_one_map_for_each_radius():
    image = tiny.picture(20, 16, 1)[None]
    both = detail_of(image, (2, 5), 1e-4)
    assert torch.equal(both, torch.cat([detail_of(image, [r], 1e-4) for r in (2, 5)], 1))


def test_light_and_contrast_do_not_matter_but_noise_is_no_detail():
    image = 0.25 + 0.5 * tiny.picture(24, 24, 1)[None]
    ours, dark = detail_of(image, [3], 1e-9), detail_of(0.3 * image + 0.05, [3], 1e-9)
    torch.testing.assert_close(ours, dark, atol=1e-2, rtol=0)
    faint = 0.5 + 0.002 * (image - 0.5)
    assert detail_of(faint, [3], 1e-3).abs().max() < 0.05


def test_foreign_detail_is_a_piece_of_one_of_the_pictures():
    """Of a picture repeated without end, perhaps in the mirror; every picture has its turn."""
    details = [torch.arange(12.0).view(1, 1, 3, 4), 100 + torch.arange(10.0).view(1, 1, 2, 5)]
    random, seen = tiny.generator(), set()
    for _ in range(200):
        found = foreign_detail(details, (4, 7), random)
        assert found.shape == (1, 1, 4, 7)
        which = int(found.max() >= 100)
        source = details[which][0, 0]
        matches = []
        for mirrored in (False, True):
            tiled = (source.flip(-1) if mirrored else source).repeat(5, 5)
            for top, left in np.ndindex(*source.shape):
                if torch.equal(tiled[top : top + 4, left : left + 7], found[0, 0]):
                    matches.append((which, mirrored, top, left))
        assert len(matches) == 1
        seen.update(matches)
    assert len(seen) > 35  # of 44
