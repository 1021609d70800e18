"""The benchmark of a GPU: rehearsed on a CPU, with what is missing out of a folder."""

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("gpu")


def wheel(folder: Path, name: str, module: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{module}/__init__.py", "")


def test_only_what_is_missing_is_unpacked(gpu, monkeypatch, tmp_path):
    packages = {"not-there": "not_there", "goes-along": "json", "is-there": "pathlib"}
    monkeypatch.setattr(gpu.gpu_pack, "WHEELS", packages)
    monkeypatch.setattr(gpu.gpu_pack, "TOGETHER", ({"not-there", "goes-along"},))
    for name, module in packages.items():
        wheel(tmp_path / "packed" / "wheels", name, module)
    variables, taken = gpu.gpu_pack.unpack(tmp_path / "packed", tmp_path / "site")
    assert taken == ["goes_along-1.0-py3-none-any.whl", "not_there-1.0-py3-none-any.whl"]
    assert (tmp_path / "site" / "not_there").is_dir()
    assert not (tmp_path / "site" / "pathlib").exists()
    assert variables == {"SPLICE_CACHE": str(tmp_path / "packed" / "cache")}
    assert gpu.gpu_pack.unpack(None, tmp_path / "other") == ({}, [])


def test_every_part_can_be_found(gpu):
    for part in gpu.PARTS:
        module, function = part.place.split(":")
        assert f"def {function}(scale: Scale)" in (BENCHMARKS / f"{module}.py").read_text()


def test_a_part_without_time_is_noted(gpu, tmp_path):
    file = tmp_path / "gpu.json"
    assert gpu.main(["--seconds", "0", "--output", str(file)]) == 1
    parts = json.loads(file.read_text())["parts"]
    assert [part["state"] for part in parts.values()] == ["no time was left"] * len(gpu.PARTS)


@pytest.mark.slow
def test_a_part_that_fails_does_not_stop_the_others(gpu, tmp_path):
    file = tmp_path / "gpu.json"
    options = ["--rehearse", "--device", "no-such-device", "--parts", "memory", "profile"]
    assert gpu.main([*options, "--output", str(file)]) == 1
    parts = json.loads(file.read_text())["parts"]
    assert list(parts) == ["memory", "profile"]
    for part in parts.values():
        assert part["state"] == "failed with status 1"
        assert "no-such-device" in part["error"]


@pytest.mark.slow
def test_the_memory_part_is_rehearsed(gpu, tmp_path):
    file = tmp_path / "gpu.json"
    options = ["--rehearse", "--device", "cpu", "--parts", "memory"]
    assert gpu.main([*options, "--output", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["rehearsal"]
    for preset in ("default", "paper"):
        tried = found["parts"]["memory"][preset]["sizes"]
        assert list(tried) == ["96"]  # the largest fits, so no other is tried
        assert tried["96"]["fits"]
        assert tried["96"]["notes"] == []
