"""What chips can do at most, found by their names."""

import pytest
import torch

from splice.studies.benchmark.peaks import peak_rate


@pytest.mark.parametrize(
    ("name", "dtype", "tf32", "rate"),
    [
        ("NVIDIA H100 80GB HBM3", torch.bfloat16, False, 989e12),
        ("NVIDIA H100 PCIe", torch.bfloat16, False, 756e12),
        ("NVIDIA A100-SXM4-80GB", torch.float32, False, 19.5e12),
        ("NVIDIA A100-SXM4-80GB", torch.float32, True, 156e12),
        ("Tesla T4", torch.float16, False, 65e12),
        ("Tesla T4", torch.bfloat16, False, None),
        ("NVIDIA L40", torch.bfloat16, False, None),
        ("GeForce 9999", torch.bfloat16, False, None),
    ],
)
def test_peaks_are_found_by_the_words_of_a_name(name, dtype, tf32, rate):
    assert peak_rate(name, dtype, tf32=tf32) == rate
