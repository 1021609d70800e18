"""Names of pairs are safe as names of folders."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_files import picture

from splice.pictures.pairs import plan_pairs
from splice.pictures.pairs.pair import folded, name_problem, safe_name

# Names


@settings(max_examples=200, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_becomes_a_safe_name(text: str) -> None:
    name = safe_name(text)
    assert name_problem(name) is None
    assert safe_name(name) == name
    if name_problem(text) is None and folded(text) == folded(name):
        assert len(name) <= len(text) or name.startswith("_")


@settings(max_examples=50, derandomize=True)
@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30))
def test_safe_names_make_folders(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / safe_name(text)).mkdir()
        assert len(list(Path(folder).iterdir())) == 1


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "a/b", "a\\b", "-o", ".x", "x.", "nul", "NUL.txt", "a\nb", "é" * 99],
)
def test_unsafe_names(name: str) -> None:
    assert name_problem(name)
    assert name_problem(safe_name(name)) is None


def test_long_names_stay_apart() -> None:
    long = "x" * 300
    assert safe_name(long + "a") != safe_name(long + "b")
    assert len(safe_name(long).encode()) <= 120


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    plain = picture(tmp_path / "plain.png")
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(plain.read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    for pair in plan_pairs(tmp_path, pairing="random").pairs:
        assert name_problem(pair.name) is None
