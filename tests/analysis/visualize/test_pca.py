"""Colours of principal components, and rows of self-similarity."""

import numpy as np
import pytest
import torch
from small_features import random

from splice.analysis.visualize import centred, pca_colours, self_similarity_rows, shared_colours

# Principal components


def test_pca_is_that_of_a_singular_value_decomposition():
    first, second = random(6, 7, 10) * torch.linspace(3, 0.5, 10), random(5, 4, 10, seed=1)
    colours = pca_colours([first, second])
    data = np.concatenate([m.reshape(-1, 10).numpy() for m in (first, second)]).astype(float)
    data -= data.mean(0)
    _, _, directions = np.linalg.svd(data, full_matrices=False)
    got = torch.cat([c.flatten(1) for c in colours], 1).numpy()
    for component in range(3):
        direction = directions[component]
        direction = direction * np.sign(direction[np.abs(direction).argmax()])
        scores = data @ direction
        low, high = np.quantile(scores, [0.01, 0.99])
        expected = ((scores - low) / (high - low)).clip(0, 1)
        np.testing.assert_allclose(got[component], expected, atol=1e-5)
    assert [tuple(c.shape) for c in colours] == [(3, 6, 7), (3, 5, 4)]


def test_equal_features_have_equal_colours_in_every_picture():
    features = random(4, 5, 8)
    for colours in (
        pca_colours([features, features.flip(1)]),
        shared_colours([features, features.flip(1)]),
    ):
        torch.testing.assert_close(colours[0], colours[1].flip(2))


def test_shared_components_pass_over_what_tells_the_pictures_apart():
    """Parts differ along three directions; each picture varies more along one of its own."""
    parts = torch.eye(12)[:4] * torch.tensor([1.0, 1, 1, 1])[:, None]
    labels = torch.randint(0, 4, (2, 9, 9), generator=torch.Generator().manual_seed(0))
    maps = []
    for picture in (0, 1):
        own = torch.zeros(9, 9, 12)
        own[..., 8 + picture] = 3 * random(9, 9, seed=picture)  # the strongest, in one alone
        own[..., 10] += 20 * picture  # another light
        maps.append(parts[labels[picture]] + 0.25 * own)

    def mean_colours(colours):
        return [
            torch.stack([c[:, labels[i] == part].mean(1) for part in range(4)])
            for i, c in enumerate(colours)
        ]

    first, second = mean_colours(shared_colours(maps))
    apart = min((first[i] - first[j]).norm() for i in range(4) for j in range(i))
    assert apart > 0.4  # parts are told apart
    assert (first - second).norm(dim=1).max() < 0.5 * apart  # and look alike in both
    first, second = mean_colours(pca_colours(maps))  # which joint components do not give
    assert (first - second).norm(dim=1).min() > 0.4


def test_shared_components_need_two_pictures_and_three_dimensions():
    with pytest.raises(ValueError, match="at least two"):
        shared_colours([random(4, 4, 8)])
    with pytest.raises(ValueError, match="three components"):
        pca_colours([random(4, 4, 2)])


def test_self_similarity_rows_are_cosines():
    maps = [random(2, 3, 5), random(2, 2, 5, seed=1)]
    rows = self_similarity_rows(maps)
    every = np.concatenate([m.reshape(-1, 5).numpy() for m in maps])
    got = np.concatenate([r.reshape(-1, 10).numpy() for r in rows])
    for i in range(10):
        for j in range(10):
            a, b = every[i], every[j]
            cosine = a @ b / np.sqrt((a @ a) * (b @ b))
            assert got[i, j] == pytest.approx(cosine, abs=1e-5)


def test_compact_rows_have_the_same_lengths_and_angles():
    maps = [random(4, 5, 6), random(3, 4, 6, seed=1)]
    whole, compact = (
        torch.cat([r.flatten(0, 1) for r in self_similarity_rows(maps, compact=c)])
        for c in (False, True)
    )
    assert whole.shape == (32, 32) and compact.shape == (32, 6)
    torch.testing.assert_close(whole @ whole.T, compact @ compact.T, atol=1e-4, rtol=1e-4)


def test_centred_maps_have_no_mean():
    torch.testing.assert_close(centred(random(3, 4, 5) + 7).mean((0, 1)), torch.zeros(5))
