"""Names of precisions, and what computes in them."""

import contextlib
import json

import pytest
import torch

from splice.backbones import machine
from splice.backbones.machine import bfloat16_is_faster
from splice.backbones.precision import autocast_of, precision_of
from splice.errors import InputError
from splice.running.device import processor

CPU = torch.device("cpu")


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precisions_by_name(name, dtype):
    assert precision_of(name, CPU) == dtype


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_float16_needs_a_gpu(device):
    with pytest.raises(InputError, match="--precision fp16 needs a CUDA GPU; take bf16, fp32"):
        precision_of("fp16", torch.device(device))
    assert precision_of("fp16", torch.device("cuda")) == torch.float16


@pytest.mark.parametrize("faster", [True, False])
def test_automatic_precision_on_a_cpu_is_what_was_measured(faster, tmp_path, monkeypatch):
    monkeypatch.setenv("SPLICE_CACHE", str(tmp_path))
    answers = {f"{processor()}, torch {torch.__version__}": faster}
    (tmp_path / "machine.json").write_text(json.dumps(answers))
    assert precision_of("auto", CPU) == (torch.bfloat16 if faster else torch.float32)


def test_a_machine_is_measured_once(tmp_path):
    folder = tmp_path / "new"
    answer = bfloat16_is_faster(folder)
    (kept,) = json.loads((folder / "machine.json").read_text()).values()
    assert kept is answer
    (folder / "machine.json").write_text("{broken")
    assert bfloat16_is_faster(folder) in (True, False)
    assert len(json.loads((folder / "machine.json").read_text())) == 1


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert bfloat16_is_faster(tmp_path / "file") in (True, False)


def test_emulated_bfloat16_is_not_taken(monkeypatch):
    """Products that take three times as long in bfloat16 as in float32."""
    seconds = {torch.float32: 1.0, torch.bfloat16: 3.0}
    monkeypatch.setattr(machine, "_seconds", lambda _f, _i, dtype: seconds[dtype])
    assert machine.measured_share() == pytest.approx(3.0)


def test_automatic_precision_elsewhere_is_float32():
    assert precision_of("auto", torch.device("mps")) == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_run_in_the_precision(dtype):
    matrix = torch.rand(4, 4)
    with autocast_of(CPU, dtype):
        assert (matrix @ matrix).dtype == dtype
    assert (matrix @ matrix).dtype == torch.float32
    if dtype == torch.float32:
        assert isinstance(autocast_of(CPU, dtype), contextlib.nullcontext)
