"""Sums over pixels and patches that are taken more than once, whatever the threads."""

import pytest
import torch

from splice.method.objective import Nearest, colour_term
from splice.method.palette import Palettes, palette_term, projections


@pytest.fixture
def many_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.robustness
def test_the_gradient_of_pixels_drawn_often_is_summed_in_a_fixed_order(many_threads):
    """As many as a run draws, from few pixels, with terms of very different size.

    Every other order of summation would show.
    """
    random = torch.Generator().manual_seed(0)
    output = torch.rand(1, 3, 8, 8, generator=random, requires_grad=True)
    pixels = torch.randint(64, (12, 1024), generator=random)
    wanted = projections(torch.rand(12, 1024, 3, generator=random)).sort(-1).values
    weights = 10 ** (-6 * torch.rand(12, generator=random))
    palettes = Palettes(pixels, wanted, weights)

    def gradient() -> torch.Tensor:
        return torch.autograd.grad(palette_term(output, palettes), output)[0]

    first = gradient()
    assert first.abs().sum() > 0
    assert all(torch.equal(first, gradient()) for _ in range(10))


@pytest.mark.robustness
def test_the_gradient_of_patches_matched_often_is_summed_in_a_fixed_order(many_threads):
    random = torch.Generator().manual_seed(0)
    output = torch.rand(8, 3, generator=random, requires_grad=True)
    others = torch.rand(20_000, 3, generator=random)
    nearest = Nearest(torch.arange(8), torch.randint(8, (20_000,), generator=random))
    mass = 10 ** (-6 * torch.rand(20_000, generator=random))

    def gradient() -> torch.Tensor:
        return torch.autograd.grad(
            colour_term(output, others, nearest, torch.ones(8), mass), output
        )[0]

    first = gradient()
    assert first.abs().sum() > 0
    assert all(torch.equal(first, gradient()) for _ in range(10))
