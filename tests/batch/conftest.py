"""What the tests of this folder run on."""

import sys

import pytest
import small_batch
import stand_in


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> small_batch.SmallBatch:
    """Small pairs and a tiny backbone, anew for each file."""
    return small_batch.make(tmp_path_factory.mktemp("small"))


@pytest.fixture
def _stand_in(monkeypatch):
    """What surrounds the optimisation is tested here, not the optimisation."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())
