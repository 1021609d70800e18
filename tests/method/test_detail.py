"""Detail against windows in a loop, and what it does not tell."""

import numpy as np
import pytest
import tiny
import torch

from splice.method.detail import detail_of, foreign_detail, without_detail


def windows(image: np.ndarray, radius: int) -> np.ndarray:
    """All windows of a picture that is mirrored at its border: rows, columns, pixels, channels."""
    padded = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), "reflect")
    side = 2 * radius + 1
    view = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))
    return view.reshape(*image.shape[:2], image.shape[2], -1).swapaxes(2, 3)


def usual(light: np.ndarray, guide: np.ndarray | None, radius: int) -> np.ndarray:
    """The mean, or the ridge regression on the guide in every window, then the mean of windows."""
    if guide is None:
        return windows(light, radius).mean(2)[..., 0]
    found = np.empty((*light.shape[:2], 4))
    x, y = windows(guide, radius), windows(light, radius)
    for row, column in np.ndindex(*light.shape[:2]):
        a, b = x[row, column], y[row, column][:, 0]
        covariance = np.cov(a.T, bias=True) + 0.01 * np.eye(3)
        slope = np.linalg.solve(covariance, ((a - a.mean(0)) * (b - b.mean())[:, None]).mean(0))
        found[row, column] = [*slope, b.mean() - a.mean(0) @ slope]
    found = windows(found, radius).mean(2)
    return (found[..., :3] * guide).sum(-1) + found[..., 3]


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("guided", [False, True])
def test_detail_is_what_is_unusual_in_a_loop(radius, guided):
    image = tiny.picture(9, 12, 1)[None]
    address = torch.randn(1, 5, 9, 12, generator=tiny.generator(2)) if guided else None
    light = np.tensordot([0.299, 0.587, 0.114], image[0].double().numpy(), 1)[..., None]
    guide = None if address is None else address[0, :3].permute(1, 2, 0).double().numpy()
    rest = light[..., 0] - usual(light, guide, radius)
    spread = windows(np.square(rest)[..., None], radius).mean(2)[..., 0]
    found = detail_of(image, [radius], 1e-3, address)
    assert found.shape == (1, 1, 9, 12)
    np.testing.assert_allclose(found[0, 0].numpy(), rest / np.sqrt(spread + 1e-3), atol=5e-4)


def test_where_meaning_changes_brightness_may_change_without_being_detail():
    """A bright sky over a dark hill, of which the addresses know."""
    sky = torch.zeros(1, 1, 24, 24)
    sky[..., :11, :] = 1
    image = (0.2 + 0.6 * sky).expand(1, 3, 24, 24)
    address = torch.cat([4 * sky, torch.zeros(1, 4, 24, 24)], 1)
    plain, known = (detail_of(image, [4], 1e-3, each).abs().max() for each in (None, address))
    assert plain > 0.9
    assert known < 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (4, 9)])
def test_the_smallest_pictures_have_detail(size):
    image = tiny.picture(*size)[None]
    found = detail_of(image, (3, 24), 1e-3, torch.ones(1, 4, *size))
    assert found.shape == (1, 2, *size)
    assert bool(torch.isfinite(found).all())


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


# What is left without it.


def test_without_detail_a_patch_has_about_its_mean_colour():
    image = tiny.picture(48, 64, 3)[None]
    found = torch.sigmoid(without_detail(image, (6, 8)))
    means = image[0].unfold(1, 8, 8).unfold(2, 8, 8).mean((3, 4))
    kept = found[0].unfold(1, 8, 8).unfold(2, 8, 8).mean((3, 4))
    assert (kept - means).abs().mean() < 0.3 * (
        means - means.mean((1, 2), keepdim=True)
    ).abs().mean()


def test_noise_goes_and_edges_stay_without_detail():
    wall = torch.cat([torch.full((3, 40, 37), 0.2), torch.full((3, 40, 43), 0.8)], -1)
    noise = 0.05 * torch.randn(3, 40, 80, generator=tiny.generator())
    found = torch.sigmoid(without_detail((wall + noise).clamp(0, 1)[None], (5, 10)))[0]
    assert (found - wall)[..., 5:30].std() < 0.5 * noise.std()
    step = found[..., 37] - found[..., 36]
    assert step.mean().item() == pytest.approx(0.6, abs=0.1)


def test_black_and_white_have_finite_logits():
    halves = torch.cat([torch.zeros(1, 3, 32, 12), torch.ones(1, 3, 32, 12)], -1)
    found = without_detail(halves, (4, 3))
    assert bool(torch.isfinite(found).all())
    assert 0.01 < torch.sigmoid(found).min() < 0.05 < 0.95 < torch.sigmoid(found).max() < 0.99
