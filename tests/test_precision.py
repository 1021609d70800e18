"""Names of precisions, and what computes in them."""

import contextlib
import platform
from pathlib import Path

import pytest
import torch

from splice.errors import InputError
from splice.precision import autocast_of, precision_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precisions_by_name(name, dtype):
    assert precision_of(name, CPU) == dtype


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_float16_needs_a_gpu(device):
    with pytest.raises(InputError, match="--precision fp16 needs a CUDA GPU; take bf16, fp32"):
        precision_of("fp16", torch.device(device))
    assert precision_of("fp16", torch.device("cuda")) == torch.float16


def test_automatic_precision_on_this_cpu():
    """What the kernel says about the processor."""
    information = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not information.exists():
        pytest.skip("not a Linux machine of that kind")
    flags = information.read_text()
    has = "avx512_bf16" in flags or "amx_bf16" in flags
    assert precision_of("auto", CPU) == (torch.bfloat16 if has else torch.float32)


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
