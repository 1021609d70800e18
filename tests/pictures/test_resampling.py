"""Resizing by products of matrices: torch's own resizing, and the gradient of it."""

import pytest
import torch
import torch.nn.functional as F

from splice.pictures.resampling import by_products, resampled


@pytest.mark.parametrize(
    ("mode", "antialias", "size"),
    [
        ("area", False, (5, 9)),
        ("area", False, (4, 6)),
        ("bilinear", False, (40, 31)),
        ("bicubic", False, (40, 31)),
        ("bicubic", True, (7, 11)),
        ("bicubic", True, (33, 19)),
    ],
)
def test_products_give_what_torch_gives(mode, antialias, size):
    random = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 16, 24, generator=random, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 3, *size, generator=random, dtype=torch.float64)
    right = F.interpolate(images, size=size, mode=mode, antialias=antialias)
    found = by_products(images, size, mode, antialias)
    assert torch.allclose(found, right, atol=1e-9)
    gradients = [torch.autograd.grad((x * weights).sum(), images)[0] for x in (found, right)]
    assert torch.allclose(*gradients, atol=1e-9)
    assert torch.equal(resampled(images, size, mode, antialias), right)
