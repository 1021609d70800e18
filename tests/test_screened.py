"""Pictures from gradients, against least squares with all equations written out."""

import numpy as np
import pytest
import tiny
import torch

from splice.screened import gradients, joined


@pytest.mark.parametrize("size", [(5, 7), (6, 4), (1, 5)])
@pytest.mark.parametrize("reach", [0.5, 3.0])
def test_it_is_the_least_sum_of_squares(size, reach):
    rows, columns = size
    random = tiny.generator(8)
    colours = torch.rand(1, 2, *size, generator=random)
    wanted = torch.randn(1, 4, *size, generator=random)
    found = joined(colours, wanted, reach)[0].double().numpy()
    for channel in range(2):
        equations, values = [], []
        for row, column in np.ndindex(*size):
            one = np.zeros(size)
            one[row, column] = 1 / reach
            equations.append(one)
            values.append(colours[0, channel, row, column].item() / reach)
            for below, right, at in ((0, 1, channel), (1, 0, 2 + channel)):
                if row + below < rows and column + right < columns:
                    one = np.zeros(size)
                    one[row, column], one[row + below, column + right] = -1, 1
                    equations.append(one)
                    values.append(wanted[0, at, row, column].item())
        flat = np.stack(equations).reshape(len(equations), -1)
        expected = np.linalg.lstsq(flat, np.array(values), rcond=None)[0].reshape(size)
        np.testing.assert_allclose(found[channel], expected, atol=2e-5)


def test_a_picture_is_its_own_answer():
    picture = tiny.picture(20, 30, 1)[None]
    torch.testing.assert_close(
        joined(picture, gradients(picture), 10.0), picture, atol=2e-5, rtol=0
    )


def test_a_step_that_no_gradient_asks_for_is_spread():
    steps = torch.zeros(1, 1, 8, 80)
    steps[..., 40:] = 1
    found = joined(steps, torch.zeros(1, 2, 8, 80), 5.0)[0, 0, 4]
    assert found.diff().abs().max() < 0.12
    assert found[0] < 0.01
    assert found[-1] > 0.99
