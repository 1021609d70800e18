"""The contrast of two branches against its formula."""

import math

import pytest
import tiny
import torch

from splice.domain.objective import siamese_contrast


@pytest.mark.parametrize("margins", [{}, {"margin_near": 0.9, "margin_far": 2.5}])
def test_contrast_is_its_formula(margins):
    near, far = margins.get("margin_near", 0.1), margins.get("margin_far", 1.0)
    a, b = (0.5 * torch.randn(8, 3, generator=tiny.generator(n)).double() for n in (1, 2))
    same = torch.arange(8) % 2 == 0
    total = 0.0
    for one, other, y in zip(a.tolist(), b.tolist(), same.tolist(), strict=True):
        d = math.sqrt(sum((x - z) ** 2 for x, z in zip(one, other, strict=True)))
        total += y * max(d, near) ** 2 + (1 - y) * max(far - d, 0) ** 2
    found = siamese_contrast(a, b, same, **margins)
    assert float(found) == pytest.approx(total / 16, abs=1e-12)


def test_what_is_near_or_far_enough_is_left_alone():
    a = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[0.05, 0.0], [0.0, 0.0], [0.0, 1.5]], dtype=torch.float64)
    siamese_contrast(a, b, torch.tensor([True, True, False])).backward()
    assert a.grad is not None
    assert torch.equal(a.grad, torch.zeros_like(a))


def test_gradients_are_finite_differences():
    a, b = (torch.randn(4, 3, generator=tiny.generator(n)).double() for n in (3, 4))
    same = torch.tensor([True, False, True, False])
    inputs = [x.requires_grad_() for x in (a, b)]
    assert torch.autograd.gradcheck(lambda x, y: siamese_contrast(x, y, same, 0.1, 4.0), inputs)
