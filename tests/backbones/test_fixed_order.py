"""Switches of torch are on for what needs them, and then as they were."""

import pytest
import torch
from torch.nn import functional as F

from splice.backbones.fixed_order import (
    convolutions_in_fixed_order,
    go_back_in_fixed_order,
    kernels_in_fixed_order,
)


@pytest.fixture(autouse=True)
def no_lasting_variable(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def strict() -> bool:
    return torch.are_deterministic_algorithms_enabled()


def test_switches_go_back_even_after_an_error():
    for context, state in (
        (convolutions_in_fixed_order, lambda: torch.backends.cudnn.deterministic),
        (kernels_in_fixed_order, strict),
    ):
        assert not state()
        with pytest.raises(ValueError, match="on purpose"), context():
            assert state()
            raise ValueError("on purpose")
        assert not state()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_the_way_back_is_fixed_through_one_operation_alone():
    x = torch.rand(2, 3, 4, requires_grad=True)
    seen = []

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            seen.append(strict())
            return gradient

    before = Watched.apply(x)
    middle = go_back_in_fixed_order(Watched.apply(before))
    Watched.apply(middle).sum().backward()
    assert seen == [False, True, False]
    assert not strict()


def test_a_result_without_gradient_is_left_alone():
    x = F.relu(torch.rand(3))
    assert go_back_in_fixed_order(x) is x
