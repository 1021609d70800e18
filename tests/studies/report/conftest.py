"""One folder of outputs for all tests of the gallery."""

import pytest
import small_outputs


@pytest.fixture(scope="session")
def outputs(tmp_path_factory) -> small_outputs.SmallOutputs:
    """Runs of every kind, which tests copy before they change them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return small_outputs.make(tmp_path_factory.mktemp("outputs"), monkeypatch)
