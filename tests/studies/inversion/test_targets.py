"""The features that an inversion aims at."""

import math

import pytest
import torch

from splice.studies.inversion import represent
from splice.studies.inversion.targets import targets


def test_features_are_the_backbones(vit, image):
    batch = torch.stack([image, image.flip(-1)])
    direct = vit(batch, cls={2}, tokens={2}, keys={2}, short_side=None)
    for feature in ("cls", "tokens", "keys"):
        found = represent(vit, batch, feature, [2])[2]
        torch.testing.assert_close(found, getattr(direct, feature)[2])
    similarity = represent(vit, batch, "self-similarity", [2])[2]
    keys = direct.keys[2].double().numpy()
    for i, j in ((0, 0), (0, 7), (5, 29)):
        for row in (0, 1):
            a, b = keys[row, i], keys[row, j]
            cosine = a @ b / math.sqrt(a @ a) / math.sqrt(b @ b)
            assert similarity[row, i, j].item() == pytest.approx(cosine, abs=1e-5)


def test_targets_carry_no_gradient(vit, image):
    target = targets(vit, image, "keys", [2])[2]
    assert not target.feature.requires_grad
    assert target.distance(target.feature).item() == 0
