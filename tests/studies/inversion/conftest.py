"""What the tests of this folder share, anew for each file."""

import pytest
import small_inversion
import torch

from splice.backbones.frozen_vit import FrozenViT


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return small_inversion.picture()


@pytest.fixture(scope="module")
def vit() -> FrozenViT:
    return small_inversion.transformer()
