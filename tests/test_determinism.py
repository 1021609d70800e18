import pytest
import torch

from splice.objective import take_patches


@pytest.fixture
def many_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.robustness
def test_the_gradient_of_overlapping_patches_is_summed_in_a_fixed_order(many_threads):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 64, 64, generator=generator, requires_grad=True)
    rows, columns = torch.randint(64, (2, 8192), generator=generator)
    # Terms of very different size make every other order of summation show.
    scale = 10 ** (6 * torch.rand(8192, 147, generator=generator))

    def gradient() -> torch.Tensor:
        return torch.autograd.grad((take_patches(image, rows, columns, 7) * scale).sum(), image)[0]

    first = gradient()
    assert all(torch.equal(first, gradient()) for _ in range(10))
