"""Switches of torch are on for what needs them, and then as they were."""

import pytest
import torch

from splice.backbones.fixed_order import in_order, sums_in_fixed_order


@pytest.fixture(autouse=True)
def no_lasting_variable(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def strict() -> bool:
    return torch.are_deterministic_algorithms_enabled()


class Watched(torch.autograd.Function):
    """Notes the switch, forward and back; the way back may fail."""

    @staticmethod
    def forward(ctx, x, seen, fails=False):  # pyright: ignore[reportIncompatibleMethodOverride]
        seen.append(strict())
        ctx.seen, ctx.fails = seen, fails
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.seen.append(strict())
        if ctx.fails:
            raise RuntimeError("out of memory")
        return gradient, None, None


def watched(x: torch.Tensor, seen: list[bool], fails: bool = False) -> torch.Tensor:
    result = Watched.apply(x, seen, fails)
    assert isinstance(result, torch.Tensor)
    return result


def test_one_operation_alone_is_in_order():
    x, seen = torch.rand(2, 3, 4, requires_grad=True), []
    with sums_in_fixed_order():
        assert torch.backends.cudnn.deterministic
        assert not strict()
        middle = in_order(lambda x: watched(x, seen), watched(x, seen))
        watched(middle, seen).sum().backward()
        assert not strict()
    assert seen == [False, True, False] * 2
    assert not torch.backends.cudnn.deterministic
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_without_being_asked_for_nothing_is_switched():
    x, seen = torch.rand(3, requires_grad=True), []
    in_order(lambda x: watched(x, seen), x).sum().backward()
    assert seen == [False, False]


def test_what_learns_nothing_is_left_alone():
    seen = []
    with sums_in_fixed_order():
        in_order(lambda x: watched(x, seen), torch.rand(3))
    assert seen == [False]


def test_a_way_back_that_fails_leaves_nothing_on():
    x, seen = torch.rand(3, requires_grad=True), []
    with pytest.raises(RuntimeError, match="out of memory"), sums_in_fixed_order():
        in_order(lambda x: watched(x, seen, True), x).sum().backward()
    assert seen == [True, True]
    assert not strict()
    assert torch.utils.deterministic.fill_uninitialized_memory
