"""The memory that a batch of inversions needs."""

import torch

from splice.studies.inversion.batches import bytes_kept


def test_memory_is_that_of_what_the_backward_pass_needs():
    x = torch.rand(1000, requires_grad=True)
    assert bytes_kept(lambda: x * 2.0) == 0
    assert bytes_kept(lambda: (x * x).exp()) == 2 * 4000  # x, once, and the result
    weight = torch.rand(1000, 10)  # no gradient to it: only it is kept, not x
    assert bytes_kept(lambda: x @ weight) == 40_000
