"""What the tests of this folder share."""

from pathlib import Path
from types import ModuleType

import blind_sheets
import pytest
import small_run


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return blind_sheets.program(monkeypatch, "blind")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return blind_sheets.make(tmp_path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_run.make(tmp_path_factory.mktemp("small"))
