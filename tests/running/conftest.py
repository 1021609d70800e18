"""What the tests of this folder run on."""

import pytest
import small_run


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> small_run.SmallRun:
    """A pair of small pictures and a tiny backbone, anew for each file."""
    return small_run.make(tmp_path_factory.mktemp("small"))
