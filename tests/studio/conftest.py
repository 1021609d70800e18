"""What the tests of this folder share, anew for each file."""

import pytest
import small_run


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> small_run.SmallRun:
    return small_run.make(tmp_path_factory.mktemp("small"))
