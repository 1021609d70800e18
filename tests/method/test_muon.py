"""Muon: what it makes of a matrix, and its steps, against plain computations in float64."""

import pytest
import torch
from torch import Tensor, nn

from splice.method import muon
from splice.method.muon import LENGTH, MOMENTUM, Muon, orthogonal

SHAPES = ((16, 351), (64, 64), (128, 8), (8, 8))


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def step_by_step(matrix: Tensor) -> Tensor:
    """Jordan's own loop, on the matrix itself."""
    x = matrix.double()
    x = x.T if x.shape[0] > x.shape[1] else x
    x = x / x.norm()
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_polynomial_applied_again_and_again(shape):
    matrix = drawn(*shape)
    torch.testing.assert_close(
        orthogonal(matrix).double(), step_by_step(matrix), atol=1e-4, rtol=1e-4
    )


def test_singular_vectors_stay_and_values_become_about_one():
    u, _ = torch.linalg.qr(drawn(24, 24).double())
    v, _ = torch.linalg.qr(drawn(90, 24, seed=1).double())
    values = torch.logspace(0, -2, 24).double()
    found = orthogonal(((u * values) @ v.T).float()).double()
    within = u.T @ found @ v
    torch.testing.assert_close(within, within.diagonal().diag(), atol=1e-4, rtol=0)
    assert float(within.diagonal().min()) > 0.65
    assert float(within.diagonal().max()) < 1.2


def test_its_length_does_not_matter_and_nothing_stays_nothing():
    matrix = drawn(16, 40)
    torch.testing.assert_close(orthogonal(1e-6 * matrix), orthogonal(matrix), atol=1e-4, rtol=0)
    assert torch.equal(orthogonal(torch.zeros(4, 6)), torch.zeros(4, 6))


def make() -> tuple[Muon, nn.Parameter, nn.Parameter]:
    kernel, bias = nn.Parameter(drawn(8, 4, 3, 3)), nn.Parameter(drawn(5, seed=1))
    return Muon([kernel, bias], [kernel], 0.5, 0.99), kernel, bias


def test_steps_are_nesterovs_of_summed_gradients():
    optimiser, kernel, _ = make()
    ours, total = kernel.detach().double(), torch.zeros(8, 4, 3, 3).double()
    for number in range(3):
        gradient = drawn(8, 4, 3, 3, seed=number)
        kernel.grad = gradient.clone()
        optimiser.step(1e-2)
        assert torch.equal(kernel.grad, gradient)
        total = MOMENTUM * total + gradient.double()
        change = step_by_step((gradient + MOMENTUM * total).flatten(1)).view(8, 4, 3, 3)
        # 36 is the longer side of the matrix.
        ours = ours - 1e-2 * LENGTH * 6 * change
        torch.testing.assert_close(kernel.detach().double(), ours, atol=1e-5, rtol=0)


def test_other_weights_are_adams():
    optimiser, _, bias = make()
    other = nn.Parameter(bias.detach().clone())
    adam = torch.optim.Adam([other], lr=1e-2, betas=(0.5, 0.99))
    for number in range(3):
        bias.grad = drawn(5, seed=number)
        other.grad = bias.grad.clone()
        optimiser.step(1e-2)
        adam.step()
        torch.testing.assert_close(bias.detach(), other.detach(), atol=1e-6, rtol=0)


def test_a_failed_step_changes_nothing_though_the_host_does_not_know():
    optimiser, kernel, bias = make()
    kernel.grad, bias.grad = drawn(8, 4, 3, 3), drawn(5)
    optimiser.step(1e-2, torch.tensor(0.0))
    before = [*optimiser.weights, *optimiser.moments["exp_avg"], *optimiser.moments["exp_avg_sq"]]
    before = [each.detach().clone() for each in before]
    kernel.grad[0, 0, 0, 0] = torch.nan
    bias.grad[0] = torch.inf
    optimiser.step(1e-2, torch.tensor(1.0))
    after = [*optimiser.weights, *optimiser.moments["exp_avg"], *optimiser.moments["exp_avg_sq"]]
    assert all(torch.equal(a, b.detach()) for a, b in zip(before, after, strict=True))


def test_weights_without_a_gradient_stay():
    optimiser, kernel, bias = make()
    before = kernel.detach().clone()
    bias.grad = drawn(5)
    optimiser.step(1e-2)
    assert torch.equal(kernel, before)
    assert kernel.grad is None


def test_a_step_that_runs_out_of_memory_has_changed_nothing(monkeypatch):
    kernels = [nn.Parameter(drawn(8, 4, 3, 3, seed=seed)) for seed in (1, 2)]
    optimiser = Muon(kernels, kernels)
    for kernel in kernels:
        kernel.grad = drawn(8, 4, 3, 3)
    before = [kernel.detach().clone() for kernel in kernels]
    calls = iter([0, 1])

    def full(matrix: Tensor) -> Tensor:
        if next(calls):
            raise MemoryError
        return orthogonal(matrix)

    with monkeypatch.context() as patched:
        patched.setattr(muon, "orthogonal", full)
        with pytest.raises(MemoryError):
            optimiser.step(1e-2)
    assert all(torch.equal(a, b) for a, b in zip(before, kernels, strict=True))
    assert not any(bool(total.any()) for total in optimiser.moments["exp_avg"])
    assert all(kernel.grad is not None for kernel in kernels)
