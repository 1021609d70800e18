"""Random views: their ranges, their colours against torchvision's, and where they come from."""

import colorsys
import contextlib
import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import tiny
import torch
from torchvision.transforms.v2 import functional as reference

from splice.method import views
from splice.method.views import View, change_colours, draw_view


def coordinates(height: int, width: int) -> torch.Tensor:
    """A picture whose two channels are the row and column of each pixel's centre."""
    rows = torch.arange(height)[:, None].expand(height, width) + 0.5
    columns = torch.arange(width)[None].expand(height, width) + 0.5
    return torch.stack([rows, columns])[None]


@contextlib.contextmanager
def having(**constants: float) -> Iterator[None]:
    """With chances and ranges of views other than the paper's."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in constants.items():
            patch.setattr(views, name, value)
        yield


def drawn(height: int, width: int, count: int, seed: int = 0, **constants: float) -> list[View]:
    random = tiny.generator(seed)
    with having(**constants):
        return [draw_view(height, width, random) for _ in range(count)]


def changed(image: torch.Tensor, random: torch.Generator, **constants: float) -> torch.Tensor:
    with having(**constants):
        return change_colours(image, random)


def test_the_papers_chances_and_ranges():
    assert (views.CROP, views.FLIP, views.JITTER, views.BLUR) == (0.95, 0.5, 0.5, 0.2)
    assert (views.BRIGHTNESS, views.CONTRAST, views.SATURATION, views.HUE) == (0.4, 0.4, 0.2, 0.1)


def spread(values, low: float, high: float) -> None:
    """The values are uniform in [low, high]: Kolmogorov and Smirnov's distance is as it should be."""
    values = np.sort((np.asarray(values, dtype=float) - low) / (high - low))
    assert values[0] >= 0
    assert values[-1] <= 1
    steps = np.arange(1, len(values) + 1) / len(values)
    assert np.abs(values - steps).max() < 1.95 / math.sqrt(len(values))  # exceeded once in 1,000


@pytest.mark.parametrize("size", [(400, 400), (400, 640)])
def test_sides_flips_and_places(size):
    height, width = size
    found = drawn(height, width, 2000)
    for view in found:
        assert view.height == view.width
        assert 0.95 * height - 0.5 <= view.height <= height
        assert 0 <= view.top <= height - view.height
        assert 0 <= view.left <= width - view.width
    jitter = np.random.default_rng(0).random(len(found)) - 0.5
    spread([v.height + j for v, j in zip(found, jitter, strict=True)], 379.5, 400.5)
    places = [
        (v.left + 0.5 + j) / (width - v.width + 1) for v, j in zip(found, jitter, strict=True)
    ]
    spread(places, 0, 1)
    assert abs(np.mean([v.flip for v in found]) - 0.5) < 0.04


def test_a_view_is_never_wider_than_the_picture():
    for view in drawn(400, 120, 200):
        assert (view.height, view.width, view.left) == (120, 120, 0)
        assert 0 <= view.top <= 280
    random = np.random.default_rng(0).random(2000)
    tops = [v.top + r for v, r in zip(drawn(400, 120, 2000), random, strict=True)]
    spread(tops, 0, 281)
    corners = [v.top for v in drawn(21, 21, 300) if v.height == 20]
    assert set(corners) == {0, 1}
    assert all((v.height, v.width) == (1, 1) for v in drawn(1, 1, 3))


def test_chances_of_nothing_and_of_always():
    still = drawn(50, 70, 50, CROP=1.0, FLIP=0.0)
    assert set(still) <= {View(0, left, 50, 50) for left in range(21)}
    assert all(view.flip for view in drawn(50, 70, 50, CROP=1.0, FLIP=1.0))


def test_the_generator_decides():
    assert drawn(90, 120, 20, seed=3) == drawn(90, 120, 20, seed=3)
    assert drawn(90, 120, 20, seed=3) != drawn(90, 120, 20, seed=4)
    image = tiny.picture(20, 20)[None]
    first, same, other = (
        changed(image, tiny.generator(seed), JITTER=1.0, BLUR=1.0) for seed in (3, 3, 4)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("size", [(40, 40), (40, 61), (61, 40)])
def test_source_inverts_cut(size):
    image = coordinates(*size)
    for view in drawn(*size, 20, CROP=0.3):
        part = view.cut(image)[0]
        assert part.shape == (2, view.height, view.width)
        rows = (torch.arange(view.height) + 0.5) / view.height
        columns = (torch.arange(view.width) + 0.5) / view.width
        rows, columns = (x.flatten() for x in torch.meshgrid(rows, columns, indexing="ij"))
        top, left = view.source(rows, columns)
        torch.testing.assert_close(top, part[0].flatten())
        torch.testing.assert_close(left, part[1].flatten())


SPANS = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1}


def only(name: str) -> dict[str, float]:
    """Constants with which one change of colours always happens, and nothing else."""
    spans = {other.upper(): span if other == name else 0.0 for other, span in SPANS.items()}
    return {"JITTER": 1.0, "BLUR": 0.0, **spans}


def probe() -> torch.Tensor:
    """Faint colours, so that no change reaches the ends of the range."""
    return 0.35 + 0.2 * tiny.picture(12, 15, 3).double()[None]


def found_factor(name: str, seed: int) -> float:
    """The factor that a seed draws for one change, read off what it does to a picture."""
    image = probe()
    result = changed(image, tiny.generator(seed), **only(name))
    grey = reference.rgb_to_grayscale(result), reference.rgb_to_grayscale(image)
    if name == "brightness":
        return float((result / image).mean())
    if name == "contrast":
        return float(result.std() / image.std())
    if name == "saturation":
        return float((result - grey[0]).norm() / (image - grey[1]).norm())
    before, after = (colorsys.rgb_to_hsv(*x[0, :, 5, 5].tolist())[0] for x in (image, result))
    return (after - before + 0.5) % 1 - 0.5


CHANGES = {
    "brightness": reference.adjust_brightness,
    "contrast": reference.adjust_contrast,
    "saturation": reference.adjust_saturation,
    "hue": reference.adjust_hue,
}


@pytest.mark.parametrize("name", SPANS)
def test_each_change_is_torchvisions(name):
    for seed in range(6):
        factor = found_factor(name, seed)
        found = changed(probe(), tiny.generator(seed), **only(name))
        expected = CHANGES[name](probe(), factor)
        torch.testing.assert_close(found, expected, atol=3e-4, rtol=0)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_factors_fill_their_range(name):
    span = SPANS[name]
    spread([found_factor(name, seed) for seed in range(300)], 1 - span - 2e-3, 1 + span + 2e-3)


def test_hues_fill_their_range():
    spread([found_factor("hue", seed) for seed in range(200)], -0.1 - 1e-4, 0.1 + 1e-4)


def test_all_changes_come_in_a_random_order():
    image = 0.9 * tiny.picture(12, 15, 3).double()[None]
    orders = []
    for seed in range(6):
        factors = {name: found_factor(name, seed) for name in CHANGES}
        found = changed(image, tiny.generator(seed), JITTER=1.0, BLUR=0.0)

        def error(order, factors=factors, found=found):
            result = image
            for name in order:
                result = CHANGES[name](result, factors[name])
            return float((result - found).abs().max())

        best = min(itertools.permutations(CHANGES), key=error)
        assert error(best) < 2e-3
        orders.append(best)
    assert len(set(orders)) > 2


def test_blur_is_a_gaussian_of_three_pixels():
    """A single bright pixel shows the kernel, and the kernel its deviation."""
    point = torch.zeros(1, 3, 9, 9, dtype=torch.float64)
    point[..., 4, 4] = 1
    image = tiny.picture(12, 15).double()[None]
    always = {"JITTER": 0.0, "BLUR": 1.0}
    deviations = []
    for seed in range(200):
        spot = changed(point, tiny.generator(seed), **always)[0, 0]
        assert float(spot.sum()) == pytest.approx(1)
        assert float(spot[2].abs().sum() + spot[6].abs().sum()) == 0
        beside = float(spot[4, 3] / spot[4, 4])  # exp(-1 / (2 · deviation²))
        deviation = math.sqrt(-1 / (2 * math.log(max(beside, 1e-300))))
        deviations.append(deviation)
        if seed < 10:
            blurred = changed(image, tiny.generator(seed), **always)
            expected = reference.gaussian_blur(image, [3, 3], [deviation, deviation])
            torch.testing.assert_close(blurred, expected, atol=1e-5, rtol=0)
    spread(deviations, 0.1 - 1e-3, 2 + 1e-3)


def test_chances_of_jitter_and_blur():
    random, image = tiny.generator(0), tiny.picture(6, 6)[None]
    for other, chance in (("BLUR", 0.5), ("JITTER", 0.2)):
        kept = [changed(image, random, **{other: 0.0}) is image for _ in range(1000)]
        assert abs(1 - np.mean(kept) - chance) < 0.05, other


def test_colours_stay_in_range():
    random = tiny.generator(0)
    image = torch.rand(1, 3, 8, 8, generator=random)
    for _ in range(50):
        found = changed(image, random, JITTER=1.0, BLUR=1.0)
        assert float(found.min()) >= 0
        assert float(found.max()) <= 1
