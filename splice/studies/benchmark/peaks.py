"""What chips can do at most, by the name that the driver gives them."""

import torch

PEAKS: dict[str, dict[str, float]] = {
    "B200": {"bf16": 2250e12, "tf32": 1125e12, "fp32": 75e12},
    "H200": {"bf16": 989e12, "tf32": 494e12, "fp32": 67e12},
    "GH200": {"bf16": 989e12, "tf32": 494e12, "fp32": 67e12},
    "H100 PCIe": {"bf16": 756e12, "tf32": 378e12, "fp32": 51e12},
    "H100 NVL": {"bf16": 835e12, "tf32": 417e12, "fp32": 60e12},
    "H100": {"bf16": 989e12, "tf32": 494e12, "fp32": 67e12},
    "A100": {"bf16": 312e12, "tf32": 156e12, "fp32": 19.5e12},
    "L40S": {"bf16": 362e12, "tf32": 183e12, "fp32": 91.6e12},
    "L4": {"bf16": 121e12, "tf32": 60e12, "fp32": 30.3e12},
    "A10G": {"bf16": 70e12, "tf32": 35e12, "fp32": 31.5e12},
    "A10": {"bf16": 125e12, "tf32": 62.5e12, "fp32": 31.2e12},
    "T4": {"fp16": 65e12, "fp32": 8.1e12},
    "V100": {"fp16": 125e12, "fp32": 15.7e12},
}
"""Operations a second without sparsity, from NVIDIA's data sheets; float16 is as fast as bfloat16.

The first name that a device's name contains, word by word, is its own.
"""


def peak_rate(device_name: str, dtype: torch.dtype, *, tf32: bool = False) -> float | None:
    """The most operations a second of matrix products in a precision; None for an unknown chip.

    Args:
        device_name: as the driver gives it, such as "NVIDIA H100 80GB HBM3".
        dtype: of the products.
        tf32: whether float32 products may be rounded to TF32.
    """
    words = device_name.replace("-", " ").split()
    rates = next(
        (found for name, found in PEAKS.items() if all(word in words for word in name.split())),
        None,
    )
    if rates is None:
        return None
    if dtype == torch.float32:
        return rates["tf32"] if tf32 and "tf32" in rates else rates["fp32"]
    return rates.get("bf16", rates.get("fp16")) if dtype == torch.float16 else rates.get("bf16")
