"""Every term against loops and closed forms in float64, and gradients against differences."""

import math

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from splice.method import objective
from splice.method.objective import Nearest


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=tiny.generator(seed), dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=tiny.generator(seed), dtype=torch.float64)


def mean_square(a: Tensor, b: Tensor) -> float:
    pairs = zip(a.flatten().tolist(), b.flatten().tolist(), strict=True)
    squares = [(x - y) ** 2 for x, y in pairs]
    return sum(squares) / len(squares)


@pytest.mark.parametrize(
    ("term", "shape"),
    [
        (objective.appearance_term, (2, 7)),
        (objective.structure_term, (1, 5, 5)),
        (objective.identity_term, (1, 5, 7)),
    ],
)
def test_the_papers_terms_are_mean_squares(term, shape):
    a, b = normal(*shape), normal(*shape, seed=1)
    assert term(a, b).item() == pytest.approx(mean_square(a, b), rel=1e-12)
    assert term(a, a).item() == 0


# Patches and the nearest of the other picture.


def cosine_cost(a: np.ndarray, b: np.ndarray) -> float:
    return 1 - float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def loop_costs(output: Tensor, appearance: Tensor) -> list[list[float]]:
    ours, theirs = output.numpy(), appearance.numpy()
    mean = theirs.mean(0)
    return [[cosine_cost(a - mean, b - mean) for b in theirs] for a in ours]


def loop_nearest(
    costs: list[list[float]], likeness: Tensor, meaning: float
) -> tuple[list[int], list[int]]:
    """Which tokens answer to which, by a double loop (Kolkin et al., 2019, eq. 6)."""

    def choice(i: int, j: int) -> float:
        return costs[i][j] - meaning * likeness[i][j].item()

    count, others = len(costs), len(costs[0])
    there = [min(range(others), key=lambda j: choice(i, j)) for i in range(count)]
    back = [min(range(count), key=lambda i: choice(i, j)) for j in range(others)]
    return there, back


def weighted(values: list[float], weights: Tensor) -> float:
    return sum(v * w for v, w in zip(values, weights.tolist(), strict=True)) / sum(weights.tolist())


@pytest.mark.parametrize("meaning", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("counts", [(6, 9), (9, 6), (1, 4)])
def test_nearest_and_colour_terms_against_a_double_loop(meaning, counts):
    output, appearance = normal(counts[0], 5), normal(counts[1], 5, seed=1) + 2
    likeness = normal(*counts, seed=2)
    ours, theirs = uniform(counts[0], 3, seed=3), uniform(counts[1], 3, seed=4)
    weight, mass = 0.1 + uniform(counts[0], seed=5), 0.1 + uniform(counts[1], seed=6)
    expected = loop_costs(output, appearance)
    there, back = loop_nearest(expected, likeness, meaning)
    costs = objective.token_costs(output, appearance)
    np.testing.assert_allclose(costs.numpy(), np.array(expected), atol=1e-12)
    nearest = objective.nearest_tokens(costs, likeness, meaning)
    assert (nearest.there.tolist(), nearest.back.tolist()) == (there, back)
    forward = weighted([expected[i][j] for i, j in enumerate(there)], weight)
    backward = weighted([expected[i][j] for j, i in enumerate(back)], mass)
    found = objective.nearest_term(costs, nearest, weight, mass).item()
    assert found == pytest.approx(max(forward, backward), rel=1e-9)

    def apart(i: int, j: int) -> float:
        pairs = zip(ours[i].tolist(), theirs[j].tolist(), strict=True)
        return sum(abs(x - y) for x, y in pairs) / 3

    forward = weighted([apart(i, j) for i, j in enumerate(there)], weight)
    backward = weighted([apart(i, j) for j, i in enumerate(back)], mass)
    found = objective.colour_term(ours, theirs, nearest, weight, mass).item()
    assert found == pytest.approx((forward + backward) / 2, rel=1e-9)


def test_either_side_can_be_the_dearer_one():
    """A token that nothing answers to counts; so does one that answers to nothing."""
    near, far = normal(1, 6), normal(2, 6, seed=1) + 3
    sides = []
    for output, appearance in ((near, torch.cat([near, far])), (torch.cat([near, far]), near + 0)):
        costs = torch.cdist(output, appearance)
        nearest = objective.nearest_tokens(costs, torch.zeros_like(costs), 0.0)
        ones = torch.ones(len(output)).double(), torch.ones(len(appearance)).double()
        term = objective.nearest_term(costs, nearest, *ones).item()
        there = costs.amin(1).mean().item()
        back = costs.amin(0).mean().item()
        assert term == pytest.approx(max(there, back), rel=1e-12)
        sides.append(there < back)
    assert sides == [True, False]


def test_tokens_are_matched_by_meaning_as_far_as_it_counts():
    """Two tokens swapped: the same set, but each in the other's part."""
    tokens = normal(2, 5)
    likeness = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    swapped = objective.token_costs(tokens.flip(0), tokens)
    one = torch.ones(2).double()

    def term(costs: Tensor, meaning: float) -> float:
        nearest = objective.nearest_tokens(costs, likeness, meaning)
        return objective.nearest_term(costs, nearest, one, one).item()

    assert term(objective.token_costs(tokens, tokens), 10.0) == pytest.approx(0, abs=1e-12)
    assert term(swapped, 0.0) == pytest.approx(0, abs=1e-12)
    assert term(swapped, 10.0) > 1


def test_gradients_of_the_terms_on_patches_are_their_differences():
    output, appearance = normal(4, 5).requires_grad_(), normal(6, 5, seed=1)
    ours, theirs = uniform(4, 3, seed=3).requires_grad_(), uniform(6, 3, seed=4)
    nearest = Nearest(torch.tensor([3, 0, 3, 5]), torch.tensor([0, 2, 1, 3, 1, 1]))
    weight, mass = 0.1 + uniform(4, seed=5), 0.1 + uniform(6, seed=6)

    def tokens(x: Tensor) -> Tensor:
        costs = objective.token_costs(x, appearance)
        return objective.nearest_term(costs, nearest, weight, mass)

    assert torch.autograd.gradcheck(tokens, output)
    assert torch.autograd.gradcheck(
        lambda x: objective.colour_term(x, theirs, nearest, weight, mass), ours
    )


def test_which_tokens_match_has_no_gradient_of_its_own():
    output = normal(3, 4).requires_grad_()
    costs = objective.token_costs(output, normal(5, 4, seed=1))
    nearest = objective.nearest_tokens(costs, normal(3, 5, seed=2), 1.0)
    one, other = torch.ones(3).double(), torch.ones(5).double()
    before = objective.nearest_term(costs, nearest, one, other)
    (gradient,) = torch.autograd.grad(before, output)
    costs = objective.token_costs(output.detach() - 0.01 * gradient, normal(5, 4, seed=1))
    after = objective.nearest_term(costs, nearest, one, other)
    assert after.item() < before.item()


@pytest.mark.parametrize("evenness", [0.0, 0.7, 1.0])
def test_small_parts_count_as_much_more_as_is_said(evenness):
    groups = torch.tensor([3, 0, 3, 3, 1, 3, 1])  # of 4, 1 and 2 patches; none in group 2
    sizes = {3: 4, 0: 1, 1: 2}
    raw = [sizes[group] ** -evenness for group in groups.tolist()]
    expected = [value * len(raw) / sum(raw) for value in raw]
    found = objective.even_counts(groups, evenness)
    assert found.tolist() == pytest.approx(expected, rel=1e-6)
    by_group = [found[groups == group].sum().item() for group in sizes]
    assert (max(by_group) - min(by_group) < 1e-5) == (evenness == 1)


# Outlines.


def gray(image: Tensor) -> np.ndarray:
    red, green, blue = image[0].numpy()
    return 0.299 * red + 0.587 * green + 0.114 * blue


def corners(size: tuple[int, int], radius: int) -> list[tuple[int, int]]:
    """Top left corners of the windows that lie in a picture, one for every `radius` pixels."""
    ends = [side - 2 * radius for side in size]
    return [(y, x) for y in range(0, ends[0], radius) for x in range(0, ends[1], radius)]


@pytest.mark.parametrize(("size", "radius"), [((12, 17), 1), ((20, 15), 3)])
def test_edge_term_against_a_regression_in_every_window(size, radius):
    output, structure = uniform(1, 3, *size), uniform(1, 3, *size, seed=1)
    sign = torch.ones(size, dtype=torch.float64)
    sign[:, size[1] // 2 :] = -1  # light turns to dark on the right
    output = 0.5 * output + 0.5 * structure * sign
    outlines = uniform(1, 1, *size, seed=2)
    losses, slopes = [], []
    for y, x in corners(size, radius):
        window = (slice(y, y + 2 * radius + 1), slice(x, x + 2 * radius + 1))
        wanted, given = gray(structure)[window].ravel(), gray(output)[window].ravel()
        line = np.stack([given, np.ones_like(given)], 1)
        solution = np.linalg.lstsq(line, wanted, rcond=None)[0]
        unexplained = np.var(wanted - line @ solution) / np.var(wanted)
        counts = outlines[0, 0].numpy()[window].mean()
        counts *= np.var(wanted) / (np.var(wanted) + 0.03**2)
        losses.append(counts * unexplained)
        slopes.append(solution[0])
    assert min(slopes) < 0 < max(slopes)
    found = objective.edge_term(output, structure, outlines, radius)
    # The term takes the rounding of pixels for no detail, which the regression does not know of.
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-2)


def test_outlines_may_be_fainter_or_inverted_but_not_lost():
    structure = torch.rand(1, 3, 24, 24, generator=tiny.generator())
    structure[..., 12:] = 0.5
    everywhere = torch.ones(1, 1, 24, 24)

    def term(output, outlines=everywhere):
        return objective.edge_term(output, structure, outlines, 3).item()

    assert term(structure) < 2e-3
    faint, inverted = 0.5 * structure, 1 - 0.5 * structure
    assert term(faint) < 3e-3
    assert term(inverted) < 3e-3, "a dark cat before a bright wall may become a bright one"
    striped = faint.clone()
    striped[..., 18::2] = 0  # no window holds stripes and detail
    assert term(striped) < 3e-3, "texture may grow on what is flat"
    blank = torch.full_like(structure, 0.5)
    lost = term(blank)
    assert 0.3 < lost < 0.7  # about the half of the windows that hold detail
    assert term(blank, outlines=0.1 * everywhere) == pytest.approx(0.1 * lost, rel=1e-4)
    redder = structure + torch.tensor([0.114, 0.0, -0.299])[:, None, None]
    assert term(redder) < 2e-3, "colours of one brightness"


def test_the_gradient_of_the_edge_term_is_its_difference():
    output, structure = uniform(1, 3, 7, 8).requires_grad_(), uniform(1, 3, 7, 8, seed=1)
    outlines = uniform(1, 1, 7, 8, seed=2)
    assert torch.autograd.gradcheck(
        lambda x: objective.edge_term(x, structure, outlines, 2), output, atol=1e-6
    )


def test_edge_term_of_a_picture_smaller_than_a_window_is_nothing():
    small = torch.rand(1, 3, 5, 30, generator=tiny.generator(), requires_grad=True)
    found = objective.edge_term(small, small.detach(), torch.zeros(1, 1, 5, 30), 3)
    (gradient,) = torch.autograd.grad(found, small)
    assert found.item() == 0
    assert bool((gradient == 0).all())


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_outlines_against_variances_by_numpy(radius):
    codes = normal(1, 4, 13, 16)
    codes[..., :8] = 0.3 * codes[:, :, :1, :1]  # the left means one thing
    found = objective.outlines_of(codes, radius)[0, 0]
    for row in range(13):
        for column in range(16):
            around = codes[
                0, :, max(0, row - radius) : row + radius + 1, max(0, column - radius) :
            ][..., : min(column, radius) + radius + 1]
            variance = around.flatten(1).numpy().var(1).mean()
            expected = variance / (variance + 0.05)
            assert found[row, column].item() == pytest.approx(expected, abs=1e-9)
    assert float(found[:, : 8 - radius].max()) < 1e-9
    assert float(found[:, 8:].min()) > 0.5


def test_brightness_is_that_of_television():
    image = uniform(2, 3, 4, 5)
    red, green, blue = image.unbind(1)
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    torch.testing.assert_close(objective.brightness(image)[:, 0], expected)
