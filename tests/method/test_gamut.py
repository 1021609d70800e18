"""Distances of colours from those of a picture against a loop in float64."""

import numpy as np
import pytest
import tiny
import torch

from splice.method import gamut
from splice.method.gamut import gamut_of, gamut_term


@pytest.fixture
def few(monkeypatch) -> None:
    """As many samples and cells as a loop can go over."""
    monkeypatch.setattr(gamut, "SAMPLES", 4)
    monkeypatch.setattr(gamut, "CELLS", 5)


def flat(*colour: float, size: tuple[int, int] = (3, 3)) -> torch.Tensor:
    return torch.tensor(colour)[None, :, None, None].expand(1, 3, *size).contiguous()


def loop_distance(colour: np.ndarray, colours: list[np.ndarray], rank: int = 8) -> float:
    distances = sorted(np.sqrt(((colour - other) ** 2).sum()) for other in colours)
    return max(0.0, distances[rank - 1] - 0.03)


def sampled(picture: torch.Tensor, side: int) -> list[np.ndarray]:
    """Mean colours of a grid of parts, and the pixel in each part's top left corner."""
    image = picture[0].double().numpy()
    height, width = image.shape[1:]
    colours = []
    for i in range(side):
        for j in range(side):
            rows = slice(i * height // side, (i + 1) * height // side)
            columns = slice(j * width // side, (j + 1) * width // side)
            colours.append(image[:, rows, columns].mean((1, 2)))
            colours.append(image[:, rows, columns][:, 0, 0])
    return colours


@pytest.mark.usefixtures("few")
def test_distances_in_the_lattice_are_those_of_a_loop():
    picture = tiny.picture(12, 16)[None]
    colours = sampled(picture, 4)
    found = gamut_of(picture)[0, 0]
    assert found.shape == (5, 5, 5)
    for red, green, blue in np.ndindex(5, 5, 5):
        colour = np.array([red, green, blue]) / 4
        expected = loop_distance(colour, colours)
        assert found[red, green, blue].item() == pytest.approx(expected, abs=1e-5)
    assert float(found.max()) > 0.3


@pytest.mark.usefixtures("few")
def test_colours_between_those_of_the_lattice_are_interpolated():
    lattice = gamut_of(tiny.picture(12, 16)[None])
    output = torch.rand(1, 3, 4, 5, generator=tiny.generator(1))
    costs = []
    for colour in output[0].flatten(1).T.double().numpy() * 4:
        low = np.minimum(colour.astype(int), 3)
        share, cost = colour - low, 0.0
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, share, 1 - share))
            cost += weight * lattice[(0, 0, *(low + corner))].item()
        costs.append(cost)
    assert gamut_term(output, lattice).item() == pytest.approx(np.mean(costs), rel=1e-5)


def test_the_picture_itself_costs_nothing():
    picture = torch.cat([flat(0.2, 0.5, 0.7), flat(0.9, 0.1, 0.3)], -1)
    lattice = gamut_of(picture)
    # Within a cell, of 1/32, distances to colours that are NEAR are 0 at most of its corners.
    assert gamut_term(picture, lattice).item() < 0.02
    assert gamut_term(flat(0.5, 0.3, 0.5), lattice).item() > 0.2
    exact = torch.cat([flat(0.25, 0.5, 0.75), flat(1.0, 0.0, 0.125)], -1)  # of the lattice
    assert gamut_term(exact, gamut_of(exact)).item() == 0


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_red_green_and_blue_stay_what_they_are(channel):
    colours = torch.full((3, 3), 0.25)
    colours.fill_diagonal_(1)
    lattice = gamut_of(flat(*colours[channel].tolist()))
    for other in range(3):
        cost = gamut_term(flat(*colours[other].tolist()), lattice).item()
        expected = 0.0 if other == channel else 2**0.5 * 0.75 - 0.03
        assert cost == pytest.approx(expected, abs=1e-5)


def test_a_single_odd_pixel_does_not_make_its_colour_the_pictures():
    picture = flat(0.25, 0.25, 0.25, size=(gamut.SAMPLES, gamut.SAMPLES)).clone()
    picture[0, :, 3, 3] = 1
    white = flat(1.0, 1.0, 1.0)
    assert gamut_term(white, gamut_of(picture)).item() == pytest.approx(0.75 * 3**0.5 - 0.03)
    picture[0, :, :3, :3] = 1
    assert gamut_term(white, gamut_of(picture)).item() == 0


def test_the_gradient_is_the_difference_and_leads_to_the_pictures_colours():
    lattice = gamut_of(flat(0.3, 0.5, 0.8)).double()
    output = torch.rand(1, 3, 3, 4, generator=tiny.generator(), dtype=torch.float64)
    output = (0.05 + 0.9 * output).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gamut_term(x, lattice), output)
    colour = flat(0.9, 0.1, 0.8).double().requires_grad_()
    (gradient,) = torch.autograd.grad(gamut_term(colour, lattice), colour)
    push = gradient[0, :, 0, 0]
    assert push[0] > 0 > push[1]
    assert abs(push[2]) < 0.1 * push[0]
