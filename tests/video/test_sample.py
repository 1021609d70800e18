"""A minute's walk over a sample picture, with the real backbone: nothing flickers."""

import importlib
import sys
from pathlib import Path

import pytest
from embedded_weights import embedded_cache, embedded_wheel  # noqa: F401

from splice.commands.cli import main

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

AT_MOST = 1.2
"""Flicker of the output, against that of the input."""


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(3600)
def test_a_painted_walk_flickers_hardly_more_than_the_walk(
    embedded_cache,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    monkeypatch.setenv("SPLICE_CACHE", str(embedded_cache))
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = importlib.import_module("flicker")
    assert Path(benchmark.__file__).parent == BENCHMARKS
    options = benchmark.Options()
    video, output = benchmark.make_video(options, tmp_path), tmp_path / "painted.mp4"
    words = [str(video), str(options.appearance), f"--output={output}", f"--size={options.size}"]
    assert main(["video", *words, "--device=cpu", "--quiet"]) == 0
    flicker = benchmark.flicker_between(video, output)
    assert flicker.pairs == options.frames - 1 == 59
    assert flicker.ratio <= AT_MOST
    sys.modules.pop("flicker")
