"""What the tests of this folder share: a folder of outputs for all, pairs and systems for each."""

from pathlib import Path

import preference_sheet
import pytest
import small_outputs

from splice.pictures.pairs import Pair


@pytest.fixture(scope="session")
def outputs(tmp_path_factory) -> small_outputs.SmallOutputs:
    """Runs of every kind, which tests copy before they change them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return small_outputs.make(tmp_path_factory.mktemp("outputs"), monkeypatch)


@pytest.fixture
def pairs(tmp_path) -> list[Pair]:
    return preference_sheet.make_pairs(tmp_path)


@pytest.fixture
def systems(tmp_path) -> dict[str, Path]:
    return preference_sheet.make_systems(tmp_path)
