"""The tone map: optimal transport against closed forms, parts and moments against loops."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

from splice.method import tones
from splice.method.appearances import Appearance
from splice.method.semantics import Semantics
from splice.method.settings import Meaning, Tones
from splice.method.slopes import applied
from splice.method.tones import (
    bounded,
    find_parts,
    monge_kantorovich,
    patch_moments,
    soft_parts,
    tone_maps,
)

DOUBLE = torch.float64


def covariances(count: int, seed: int) -> Tensor:
    roots = torch.randn(count, 3, 3, generator=tiny.generator(seed), dtype=DOUBLE)
    return roots @ roots.mT + 0.05 * torch.eye(3, dtype=DOUBLE)


# The linear map.


def test_the_map_gives_one_covariance_the_other_and_is_symmetric_and_positive():
    """Which only the optimal map does: T A T = B with T symmetric positive has one solution."""
    own, wanted = covariances(20, 1), covariances(20, 2)
    found = monge_kantorovich(own, wanted)
    torch.testing.assert_close(found @ own @ found, wanted, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(found, found.mT, atol=1e-9, rtol=0)
    assert bool((torch.linalg.eigvalsh(found) > 0).all())


def test_the_map_of_independent_colours_is_the_quotient_of_their_deviations():
    own, wanted = (
        torch.rand(5, 3, generator=tiny.generator(s), dtype=DOUBLE) + 0.1 for s in (1, 2)
    )
    found = monge_kantorovich(own.diag_embed(), wanted.diag_embed())
    torch.testing.assert_close(found, (wanted / own).sqrt().diag_embed(), atol=1e-9, rtol=0)


def test_mapped_samples_have_the_wanted_covariance():
    generator = np.random.default_rng(0)
    ours = generator.normal(size=(500, 3)) @ generator.normal(size=(3, 3))
    theirs = generator.normal(size=(700, 3)) @ generator.normal(size=(3, 3))
    own, wanted = (torch.from_numpy(np.cov(x.T))[None] for x in (ours, theirs))
    mapped = ours @ monge_kantorovich(own, wanted)[0].numpy().T
    np.testing.assert_allclose(np.cov(mapped.T), np.cov(theirs.T), atol=1e-9)


def test_gains_stay_within_bounds_along_their_own_axes():
    maps = covariances(20, 3)
    found = bounded(maps, 0.5, 1.5)
    values, vectors = np.linalg.eigh(maps.numpy())
    assert values.min() < 0.5
    assert values.max() > 1.5
    for each, gains, axes in zip(found.numpy(), values, vectors, strict=True):
        for gain, axis in zip(gains, axes.T, strict=True):
            np.testing.assert_allclose(each @ axis, min(max(gain, 0.5), 1.5) * axis, atol=1e-9)
    torch.testing.assert_close(bounded(maps, 1e-6, 1e6), maps, atol=1e-9, rtol=0)


# Parts and moments.


def semantics(codes: Tensor, likeness: Tensor, grids: tuple[tuple[int, int], tuple[int, int]]):
    return tiny.semantics(codes, likeness, *grids)


def test_pixels_belong_to_parts_as_near_as_they_are(monkeypatch):
    """exp(-d² / (2 · softness² · channels / 8)), the channels of the codes fading from 1 to a half."""
    codes = torch.randn(1, 4, 5, 6, generator=tiny.generator())
    centres = torch.randn(3, 4, generator=tiny.generator(1))
    given = []

    def middles(points, count, random):
        given.append((points, count))
        return centres

    monkeypatch.setattr(tones, "k_means", middles)
    found = soft_parts(
        semantics(codes, torch.zeros(1, 1), ((1, 1), (1, 1))), Tones(parts=3, softness=0.7), 0
    )
    assert found.shape == (1, 3, 5, 6)
    fading = [1, 1 - 1 / 6, 1 - 2 / 6, 0.5]
    for row in range(5):
        for column in range(6):
            code = [c * f for c, f in zip(codes[0, :, row, column].tolist(), fading, strict=True)]
            powers = []
            for centre in centres.tolist():
                square = sum((a - b) ** 2 for a, b in zip(code, centre, strict=True))
                powers.append(np.exp(-square / (2 * 0.7**2 * 4 / 8)))
            expected = np.array(powers) / sum(powers)
            np.testing.assert_allclose(found[0, :, row, column].numpy(), expected, atol=1e-5)
    ((points, count),) = given
    assert (len(points), count) == (30, 3)
    expected = codes[0].flatten(1).T * torch.tensor(fading)
    torch.testing.assert_close(points.sort(0).values, expected.sort(0).values)


def test_membership_is_a_share():
    codes = 3 * torch.randn(1, 30, 9, 11, generator=tiny.generator())
    members = soft_parts(semantics(codes, torch.zeros(1, 1), ((1, 1), (1, 1))), Tones(parts=7), 3)
    torch.testing.assert_close(members.sum(1), torch.ones(1, 9, 11))
    assert float(members.min()) >= 0
    assert float(members.max()) <= 1 + 1e-6


@pytest.mark.parametrize(("grid", "size"), [((2, 3), (16, 24)), ((3, 2), (48, 48))])
def test_moments_of_patches_are_those_of_a_loop(grid, size):
    """Of pixels as they are, and of the mean colours of 8 × 8 parts of a larger patch."""
    image = torch.rand(1, 3, *size, generator=tiny.generator())
    mean, second = patch_moments(image, grid)
    across = [side // (8 * cells) for side, cells in zip(size, grid, strict=True)]
    for row in range(grid[0]):
        for column in range(grid[1]):
            colours = []
            for i in range(8 * row, 8 * row + 8):
                for j in range(8 * column, 8 * column + 8):
                    part = image[0, :, i * across[0] :, j * across[1] :]
                    colours.append(part[:, : across[0], : across[1]].double().mean((1, 2)).numpy())
            products = [np.outer(colour, colour) for colour in colours]
            patch = row * grid[1] + column
            np.testing.assert_allclose(mean[patch].numpy(), np.mean(colours, 0), atol=1e-6)
            np.testing.assert_allclose(second[patch].numpy(), np.mean(products, 0), atol=1e-6)


# The whole map.


def toned(
    structure: Tensor, appearance: Tensor, found: Semantics, settings: Tones, seed: int = 0
) -> Tensor:
    """The structure image in the colours of the other."""
    parts = find_parts(found, settings, seed)
    maps = tone_maps(structure, [Appearance(appearance)], found, parts, settings.strongest)
    return applied(maps, structure).clamp(0, 1)


@pytest.fixture
def own_pixels(monkeypatch) -> None:
    """Each pixel has its own parts' map alone: no window brings maps to edges."""
    monkeypatch.setattr(tones, "RADIUS", 0)


def halves(image: Tensor) -> tuple[Tensor, Tensor]:
    """Colours of the left and of the right half."""
    left, right = image[0].double().chunk(2, -1)
    return left.flatten(1).T, right.flatten(1).T


def crossed(size: tuple[int, int] = (16, 32)) -> Semantics:
    """A pair of two parts: the left half is to have what the right half of the other has."""
    codes = torch.ones(1, 8, *size)
    codes[..., size[1] // 2 :] = -1
    side = torch.tensor([0, 0, 1, 1] * 2)
    likeness = (side[:, None] != side).float() * 10
    return tiny.semantics(4 * codes, likeness, (2, 4), (2, 4))


def picture(seed: int, contrast: float = 0.1) -> Tensor:
    """Colours around one in the left half and around another in the right one."""
    grain = torch.randn(1, 3, 16, 32, generator=tiny.generator(seed))
    mix = torch.randn(3, 3, generator=tiny.generator(seed + 10)) / 2 + torch.eye(3)
    grain = torch.einsum("ij,njhw->nihw", mix, grain).clamp(-2.5, 2.5) * contrast
    middles = 0.4 + 0.2 * torch.rand(1, 3, 1, 2, generator=tiny.generator(seed + 20))
    return (F.interpolate(middles, size=(16, 32)) + grain).clamp(0, 1)


@pytest.mark.usefixtures("own_pixels")
def test_each_part_gets_the_colours_of_the_part_that_means_the_same():
    """Mean and covariance of the other half, in float64 from the pixels; no pixel is clipped."""
    structure, appearance = picture(1, 0.04), picture(2, 0.05)
    settings = Tones(parts=2, softness=0.3, strongest=100)
    found = toned(structure, appearance, crossed(), settings)
    assert 0 < float(found.min()) < float(found.max()) < 1
    # Eigenvalues of the floor, 3e-4, are a tenth of those of the colours.
    for ours, theirs in zip(halves(found), halves(appearance)[::-1], strict=True):
        torch.testing.assert_close(ours.mean(0), theirs.mean(0), atol=1e-4, rtol=0)
        apart = np.cov(ours.T.numpy()) - np.cov(theirs.T.numpy())
        assert np.abs(apart).max() < 0.15 * np.trace(np.cov(theirs.T.numpy()))


@pytest.mark.usefixtures("own_pixels")
def test_the_part_s_map_is_the_closed_form():
    """T (x - mean) + the mean of the other, T of least displacement, from the pixels in float64."""
    structure, appearance = picture(1, 0.04), picture(2, 0.05)
    settings = Tones(parts=2, softness=0.3, strongest=100)
    found = toned(structure, appearance, crossed(), settings)

    def root(matrix: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        return vectors @ np.diag(np.sqrt(values)) @ vectors.T

    pairs = zip(halves(structure), halves(appearance)[::-1], halves(found), strict=True)
    for own, wanted, ours in pairs:
        a, b = (np.cov(x.T.numpy(), bias=True) + 3e-4 * np.eye(3) for x in (own, wanted))
        inverse = np.linalg.inv(root(a))
        matrix = inverse @ root(root(a) @ b @ root(a)) @ inverse
        assert np.linalg.eigvalsh(matrix).min() > 0.1
        expected = (own - own.mean(0)).numpy() @ matrix + wanted.mean(0).numpy()
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-4)


@pytest.mark.usefixtures("own_pixels")
@pytest.mark.parametrize(("contrast", "gain"), [((0.2, 0.0), 0.1), ((0.005, 0.1), 1.5)])
def test_contrast_is_neither_lost_nor_blown_up(contrast, gain):
    """A flat appearance image leaves a tenth of it; a strong one adds at most what is said."""
    structure, appearance = picture(1, contrast[0]), picture(2, contrast[1])
    settings = Tones(parts=2, softness=0.3, strongest=1.5)
    found = toned(structure, appearance, crossed(), settings)
    for before, after in zip(halves(structure), halves(found), strict=True):
        changed = (after - after.mean(0)).norm() / (before - before.mean(0)).norm()
        assert changed.item() == pytest.approx(gain, rel=0.02)


@pytest.mark.parametrize("radius", [0, 3])
def test_a_picture_in_its_own_colours_is_itself(radius, monkeypatch):
    """Codes are the same within a patch, so that moments of patches are moments of pixels.

    What is left is the rounding of float32 in roots of matrices with eigenvalues of 3e-4 and 0.1.
    """
    monkeypatch.setattr(tones, "RADIUS", radius)
    image = tiny.picture(24, 32, 1)[None]
    codes = torch.randn(1, 8, 3, 4, generator=tiny.generator()).repeat_interleave(8, 2)
    codes = codes.repeat_interleave(8, 3)
    own = tiny.semantics(codes, 10 * torch.eye(12), (3, 4), (3, 4))
    found = toned(image, image, own, Tones(parts=5))
    torch.testing.assert_close(found, image, atol=2e-3, rtol=0)


def test_a_picture_like_itself_hardly_changes(vit):
    """As the transformer sees it: a patch has likely neighbours, and parts end within patches."""
    image = tiny.picture(70, 84, 1)[None]
    found = tiny.semantics_of(vit, image, image, image, Meaning(short_side=70, channels=8))
    result = toned(image, image, found, Tones(parts=6))
    other = toned(image, 1 - image, found, Tones(parts=6))
    assert (result - image).abs().mean() < 0.05
    assert (other - image).abs().mean() > 4 * (result - image).abs().mean()


def test_tones_are_the_seeds(vit):
    pair = tiny.picture(56, 66, 1)[None], tiny.picture(60, 50, 2)[None]
    found = tiny.semantics_of(vit, *pair, pair[0], Meaning(short_side=56, channels=8))
    settings = Tones(parts=6)
    first, same, other = (toned(*pair, found, settings, seed) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.shape == pair[0].shape
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1


def test_sources_are_shares():
    """Of the patches that mean the same: the left half's are those of the other's right half."""
    sources = find_parts(crossed(), Tones(parts=2, softness=0.3)).sources
    assert sources.shape == (2, 8)
    torch.testing.assert_close(sources.sum(1), torch.ones(2))
    left, right = sorted(sources.tolist())
    np.testing.assert_allclose(left, [0, 0, 0.25, 0.25] * 2, atol=1e-4)
    np.testing.assert_allclose(right, [0.25, 0.25, 0, 0] * 2, atol=1e-4)
