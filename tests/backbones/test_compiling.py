"""Compiled parts compute what the same parts compute as they are."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from splice.backbones.compiling import compiled
from splice.errors import RunError

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for a CPU with g++")
def test_compiled_parts_and_their_gradients_are_the_plain_ones(tmp_path):
    # Not in this process: the checks that tests put on every call cannot be compiled.
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "helpers" / "compiled_parts.py")],
        cwd=ROOT,
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"transformer", "generator"}
    for part, sizes in found.items():
        assert len(sizes) == 2
        for apart, gradients_apart in sizes:
            assert apart < 1e-5, part
            assert gradients_apart < 1e-5, part


@pytest.mark.slow
def test_what_cannot_be_compiled_is_said_in_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (str(tmp_path / "no-compiler"),))
    double = compiled(lambda x: x * 2, "twice")
    with pytest.raises(RunError, match=r"^torch cannot compile twice on this machine: .*out\.$"):
        double(torch.ones(4))
