"""What the tests of this folder share, anew for each file."""

import pytest
import tiny

from splice.backbones.frozen_vit import FrozenViT


@pytest.fixture(scope="module")
def vit() -> FrozenViT:
    return tiny.frozen()
