"""Corrections of what the generator is given: their formula, their gradient, and who learns them."""

import pytest
import tiny
import torch
from torch import Tensor

from splice.method.corrections import CELL, REACH, STRONGEST, Corrections
from splice.method.ground import COLOURS, DETAIL, DETAIL_RADII
from splice.method.learner import Learner
from splice.method.noise import GRAINS
from splice.method.transfer import Transfer

CHANNELS, ROWS, COLUMNS = 14, 40, 50
FIRST, LAST = CHANNELS + DETAIL.start, CHANNELS + DETAIL.stop


def stirred(scale: float = 0.07) -> Corrections:
    corrections = Corrections(CHANNELS, ROWS, COLUMNS, DETAIL).double()
    torch.nn.init.normal_(corrections.maps, 0.0, scale, tiny.generator(1))
    return corrections


def given(rows: int = ROWS, columns: int = COLUMNS) -> Tensor:
    return torch.randn(1, CHANNELS, rows, columns, generator=tiny.generator(2), dtype=torch.float64)


def between(cells: Tensor, row: int, column: int, rows: int, columns: int) -> float:
    """The value of a map of cells under the middle of a pixel, from the four cells around it."""
    places = []
    for index, pixels, count in zip((row, column), (rows, columns), cells.shape, strict=True):
        place = min(max((index + 0.5) * count / pixels - 0.5, 0.0), count - 1.0)
        low = min(int(place), count - 1)
        places.append((low, min(low + 1, count - 1), place - low))
    (top, bottom, down), (left, right, across) = places
    upper = cells[top, left] * (1 - across) + cells[top, right] * across
    lower = cells[bottom, left] * (1 - across) + cells[bottom, right] * across
    return float(upper * (1 - down) + lower * down)


def test_detail_lies_between_addresses_and_noise():
    assert range(CHANNELS)[DETAIL] == range(4, 4 + len(DETAIL_RADII))
    assert range(CHANNELS)[DETAIL][-1] + 1 + len(GRAINS) + COLOURS == CHANNELS


def test_a_cell_has_so_many_pixels():
    assert Corrections(CHANNELS, ROWS, COLUMNS, DETAIL).maps.shape[-2:] == (3, 4)
    assert CELL == 16


def test_nothing_is_corrected_at_first():
    x = given()
    assert torch.equal(Corrections(CHANNELS, ROWS, COLUMNS, DETAIL)(x.float()), x.float())


@pytest.mark.parametrize("size", [(ROWS, COLUMNS), (31, 38)])
def test_maps_are_added_and_detail_is_multiplied(size):
    corrections, x = stirred(), given(*size)
    maps = REACH * corrections.maps[0].detach()
    corrected = corrections(x)
    clamped = set()
    for channel in range(CHANNELS):
        for row in range(0, size[0], 5):
            for column in range(0, size[1], 7):
                change, value = (
                    between(maps[channel], row, column, *size),
                    x[0, channel, row, column],
                )
                expected = value + change
                if FIRST <= channel < LAST:
                    factor = min(max(1 + change, 0.0), STRONGEST)
                    clamped.add(factor if factor in (0.0, STRONGEST) else None)
                    expected = value * factor
                found = corrected[0, channel, row, column]
                assert found.item() == pytest.approx(float(expected), abs=1e-9)
    assert clamped == {0.0, STRONGEST, None}


def test_rows_are_corrected_as_those_of_the_whole():
    corrections, x = stirred(), given()
    whole = corrections(x)
    assert torch.allclose(corrections(x[:, :, 13:29], 13, ROWS), whole[:, :, 13:29], atol=1e-12)
    assert not torch.allclose(corrections(x[:, :, 13:29]), whole[:, :, 13:29], atol=1e-3)


def test_the_gradient_is_that_of_finite_differences():
    corrections, x = stirred(0.013), given(9, 11)

    def corrected(maps: Tensor) -> Tensor:
        return torch.func.functional_call(corrections, {"maps": maps}, (x,))

    assert torch.autograd.gradcheck(corrected, (corrections.maps.detach().requires_grad_(),))


def test_they_are_learnt_once_the_output_is_seen():
    """In the lesson nothing asks for them; afterwards they are part of what is given and delivered."""
    transfer = Transfer(
        tiny.picture(56, 66, 1), tiny.picture(60, 50, 2), tiny.settings(), tiny.frozen()
    )
    maps = transfer.learner.weights["corrections.maps"]
    for step in transfer.steps():
        alone = step.step <= transfer.method.alone  # pyright: ignore[reportAttributeAccessIssue]
        assert bool((maps == 0).all()) == alone
    ground = transfer.method.ground.inputs  # pyright: ignore[reportAttributeAccessIssue]
    rows = ground.shape[-2]
    assert not torch.equal(transfer.method.inputs(0, rows), ground)
    with transfer.learner.averaged():
        averaged = transfer.method.inputs(0, rows)
        painted = transfer.learner.network(averaged)[0, :, :56, :66]
    assert not torch.equal(averaged, transfer.method.inputs(0, rows))
    assert torch.equal(transfer.picture(), painted)


def test_they_are_saved_with_the_network():
    settings = tiny.settings()

    def learner() -> tuple[Learner, Corrections]:
        corrections = Corrections(CHANNELS, ROWS, COLUMNS, DETAIL)
        return Learner(CHANNELS, settings, torch.device("cpu"), corrections), corrections

    (one, ours), (other, theirs) = learner(), learner()
    x, goal = given().float(), tiny.picture(ROWS, COLUMNS, 3)[None]
    for step in range(3):
        one.learn((one.paint([ours(x)], torch.float32)[0] - goal).abs().mean(), 0.5, step, False)
    assert ours.maps.abs().max() > 0
    other.restore(one.state())
    assert torch.equal(ours.maps, theirs.maps)
    average = one.state()["average corrections.maps"]
    assert not torch.equal(average, ours.maps)
    with one.averaged(), other.averaged():
        assert torch.equal(ours.maps, average)
        assert torch.equal(theirs.maps, average)
