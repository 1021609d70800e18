"""What the tests of this folder share, anew for each file."""

import pytest
import small_domain


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return small_domain.make(tmp_path_factory.mktemp("domain")).folder
