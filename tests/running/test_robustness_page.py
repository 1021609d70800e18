"""The page of promises names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.robustness
def test_every_promise_names_a_test_that_exists():
    page = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
    promises = page[page.index("| promise | test | result |") :].splitlines()[2:]
    rows = [row for row in promises if row.startswith("|")]
    assert len(rows) >= 10
    for row in rows:
        files = re.findall(r"`(test_\w+\.py)`", row)
        assert files, row
        source = "".join(
            next((ROOT / "tests").rglob(name)).read_text(encoding="utf-8") for name in files
        )
        for name in re.findall(r"`(test_\w+?)_?…?`", row):
            assert f"def {name}" in source, name
