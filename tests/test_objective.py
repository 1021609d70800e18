"""Every term against loops and closed forms in float64."""

import math

import numpy as np
import pytest
import tiny
import torch

from splice import objective
from splice.section import factor_at
from splice.terms import ColourTerm, Term


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=tiny.generator(seed), dtype=torch.float64)


def mean_square(a: torch.Tensor, b: torch.Tensor) -> float:
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


def test_pixel_term_is_the_mean_distance():
    a, b = (torch.rand(1, 3, 4, 5, generator=tiny.generator(seed)) for seed in (0, 1))
    pairs = list(zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
    expected = sum(abs(x - y) for x, y in pairs) / len(pairs)
    assert objective.pixel_term(a, b).item() == pytest.approx(expected, rel=1e-6)


def cosine_cost(a: np.ndarray, b: np.ndarray) -> float:
    return 1 - float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def brute_local(output, appearance, meaning, semantics) -> float:
    """Relaxed earth mover's distance by a double loop (Kolkin et al., 2019, eq. 6)."""
    output, appearance, meaning = (x.numpy() for x in (output, appearance, meaning))
    mean = appearance.mean(0)
    count, others = len(output), len(appearance)
    cost = [
        [cosine_cost(output[i] - mean, appearance[j] - mean) for j in range(others)]
        for i in range(count)
    ]
    forward = backward = 0.0
    for i in range(count):
        best = min(range(others), key=lambda j: cost[i][j] + semantics * meaning[i][j])
        forward += cost[i][best] / count
    for j in range(others):
        best = min(range(count), key=lambda i: cost[i][j] + semantics * meaning[i][j])
        backward += cost[best][j] / others
    return max(forward, backward)


@pytest.mark.parametrize("semantics", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("counts", [(6, 9), (9, 6), (1, 4)])
def test_local_term_against_a_double_loop(semantics, counts):
    output, appearance = normal(counts[0], 5), normal(counts[1], 5, seed=1) + 2
    meaning = torch.rand(*counts, generator=tiny.generator(2), dtype=torch.float64) * 2
    found = objective.local_term(output, appearance, meaning, semantics)
    expected = brute_local(output, appearance, meaning, semantics)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_local_term_is_gated_by_meaning():
    """Two tokens swapped: the same set, but each in the other's part."""
    tokens = normal(2, 5)
    meaning = torch.tensor([[0.0, 2.0], [2.0, 0.0]], dtype=torch.float64)
    assert objective.local_term(tokens, tokens, meaning, 10.0).item() == pytest.approx(0, abs=1e-12)
    assert objective.local_term(tokens.flip(0), tokens, meaning, 0.0).item() < 1e-12
    assert objective.local_term(tokens.flip(0), tokens, meaning, 10.0).item() > 1


def test_local_term_pulls_towards_the_match():
    output, appearance = normal(3, 4).requires_grad_(), normal(5, 4, seed=1)
    meaning = torch.zeros(3, 5, dtype=torch.float64)
    before = objective.local_term(output, appearance, meaning, 1.0)
    (gradient,) = torch.autograd.grad(before, output)
    after = objective.local_term(output - 0.01 * gradient, appearance, meaning, 1.0)
    assert after.item() < before.item()


def test_semantic_cost_is_one_minus_the_cosine_of_centred_keys():
    a, b = normal(4, 6) + 3, normal(5, 6, seed=1) - 1
    found = objective.semantic_cost(a, b)
    for i in range(4):
        for j in range(5):
            first, second = a[i] - a.mean(0), b[j] - b.mean(0)
            expected = cosine_cost(first.numpy(), second.numpy())
            assert found[i, j].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("size", "cells"), [((12, 8), 4), ((13, 9), 4), ((3, 5), 7)])
def test_colour_term_compares_mean_colours_of_parts(size, cells):
    """Parts as torch cuts them where sides do not divide: from the floor to the ceiling."""
    output, target = (
        torch.rand(1, 3, *size, generator=tiny.generator(seed), dtype=torch.float64)
        for seed in (0, 1)
    )

    def means(image: torch.Tensor) -> list[float]:
        found = []
        for row in range(cells):
            for column in range(cells):
                top, bottom = row * size[0] // cells, -(-(row + 1) * size[0] // cells)
                left, right = column * size[1] // cells, -(-(column + 1) * size[1] // cells)
                part = image[0, :, top:bottom, left:right]
                found += [float(channel.mean()) for channel in part]
        return found

    pairs = list(zip(means(output), means(target), strict=True))
    expected = sum(abs(x - y) for x, y in pairs) / len(pairs)
    found = objective.colour_term(output, target, cells)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_colour_term_is_blind_to_patterns_within_a_part():
    stripes = torch.zeros(1, 3, 8, 8)
    stripes[..., ::2] = 1
    assert objective.colour_term(stripes, torch.full((1, 3, 8, 8), 0.5), 2).item() == 0
    assert objective.colour_term(stripes, torch.full((1, 3, 8, 8), 0.5), 8).item() == 0.5


def test_chroma_term_is_the_colour_term_without_brightness():
    output, target = (
        torch.rand(1, 3, 12, 8, generator=tiny.generator(seed), dtype=torch.float64)
        for seed in (0, 1)
    )
    total = 0.0
    for row in range(4):
        for column in range(4):
            cell = (0, slice(None), slice(row * 3, row * 3 + 3), slice(column * 2, column * 2 + 2))
            red, green, blue = (float((output[cell][c] - target[cell][c]).mean()) for c in range(3))
            light = 0.299 * red + 0.587 * green + 0.114 * blue
            total += abs(red - light) + abs(green - light) + abs(blue - light)
    found = objective.chroma_term(output, target, 4)
    assert found.item() == pytest.approx(total / 48, rel=1e-6)


def test_chroma_term_lets_brightness_be():
    target = torch.rand(1, 3, 16, 16, generator=tiny.generator())
    lighter = target + torch.rand(1, 1, 16, 16, generator=tiny.generator(1))
    assert objective.chroma_term(lighter, target, 8).item() < 1e-6
    redder = target + torch.tensor([0.2, 0, 0])[:, None, None]
    assert objective.chroma_term(redder, target, 8).item() > 0.05


def gray(image: torch.Tensor) -> np.ndarray:
    red, green, blue = image[0].numpy()
    return 0.299 * red + 0.587 * green + 0.114 * blue


def corners(size: tuple[int, int], radius: int) -> list[tuple[int, int]]:
    """Top left corners of the windows that lie in a picture, one for every `radius` pixels."""
    ends = [side - 2 * radius for side in size]
    return [(y, x) for y in range(0, ends[0], radius) for x in range(0, ends[1], radius)]


@pytest.mark.parametrize(("size", "radius"), [((12, 17), 1), ((20, 15), 3)])
def test_edge_term_against_a_regression_in_every_window(size, radius):
    output, structure = (
        torch.rand(1, 3, *size, generator=tiny.generator(seed), dtype=torch.float64)
        for seed in (0, 1)
    )
    sign = torch.ones(size, dtype=torch.float64)
    sign[:, size[1] // 2 :] = -1  # light turns to dark on the right
    output = 0.5 * output + 0.5 * structure * sign
    outlines, turned = (
        torch.rand(1, 1, *size, generator=tiny.generator(seed), dtype=torch.float64)
        for seed in (2, 3)
    )
    losses, slopes = [], []
    for y, x in corners(size, radius):
        window = (slice(y, y + 2 * radius + 1), slice(x, x + 2 * radius + 1))
        wanted, given = gray(structure)[window].ravel(), gray(output)[window].ravel()
        line = np.stack([given, np.ones_like(given)], 1)
        solution = np.linalg.lstsq(line, wanted, rcond=None)[0]
        explained = 1 - np.var(wanted - line @ solution) / np.var(wanted)
        if solution[0] < 0:
            to_turn = turned[0, 0].numpy()[window].mean()
            explained = to_turn * explained + (1 - to_turn) * explained / 2
        counts = outlines[0, 0].numpy()[window].mean()
        counts *= np.var(wanted) / (np.var(wanted) + 0.05**2)
        losses.append(counts * (1 - explained))
        slopes.append(solution[0])
    assert min(slopes) < 0 < max(slopes)
    found = objective.edge_term(output, structure, outlines, turned, radius, 0.05)
    # The term takes the rounding of pixels for no detail, which the regression does not know of.
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-2)


def test_edge_term_lets_light_turn_where_it_should_and_texture_grow_on_what_is_flat():
    structure = torch.rand(1, 3, 24, 24, generator=tiny.generator())
    structure[..., 12:] = 0.5
    nothing = torch.zeros(1, 1, 24, 24)
    everywhere = torch.ones_like(nothing)

    def term(output, outlines=everywhere, turned=nothing):
        return objective.edge_term(output, structure, outlines, turned, 3, 0.05).item()

    faint, inverted = 0.5 * structure, 1 - 0.5 * structure
    assert term(faint) < 3e-3
    assert term(faint, turned=everywhere) < 3e-3, "light may stay as it was"
    assert term(inverted, turned=everywhere) < 3e-3
    striped = faint.clone()
    striped[..., 18::2] = 0  # no window holds stripes and detail
    assert term(striped) < 3e-3
    blank = torch.full_like(structure, 0.5)
    lost = term(blank)
    assert 0.3 < lost < 0.7  # about the half of the windows that hold detail
    assert term(inverted) == pytest.approx(lost / 2, rel=0.02)
    assert term(blank, outlines=0.1 * everywhere) == pytest.approx(0.1 * lost, rel=1e-4)


def test_light_is_to_turn_where_a_dark_thing_is_to_be_bright():
    """A dark square before a bright wall, of which the right half is to be the other way around."""
    structure = torch.full((1, 3, 20, 40), 0.8)
    structure[..., 6:14, 6:14] = structure[..., 6:14, 26:34] = 0.3
    target = structure.clone()
    target[..., 20:] = 1 - target[..., 20:]
    turned = objective.turned_light(structure, target)[0, 0]
    for row, column in ((6, 7), (9, 13), (13, 10)):
        assert turned[row, column] == 0
        assert turned[row, column + 20] == 1
    assert turned[0, 35] < 0.05 and turned[10, 30] < 0.05, "nothing is to be seen there"
    # Random ones, against correlations by NumPy.
    random = tiny.generator()
    structure, target = (
        torch.rand(1, 3, 7, 8, generator=random, dtype=torch.float64) for _ in range(2)
    )
    turned = objective.turned_light(structure, target)[0, 0]
    for row in range(7):
        for column in range(8):
            around = (slice(max(0, row - 2), row + 3), slice(max(0, column - 2), column + 3))
            pair = [gray(picture)[around].ravel() for picture in (structure, target)]
            expected = min(1.0, max(0.0, -2 * np.corrcoef(*pair)[0, 1]))
            assert turned[row, column].item() == pytest.approx(expected, abs=2e-3)


def test_edge_term_of_a_picture_smaller_than_a_window_is_nothing():
    small = torch.rand(1, 3, 5, 30, generator=tiny.generator(), requires_grad=True)
    plain = torch.zeros(1, 1, 5, 30)
    found = objective.edge_term(small, small.detach(), plain, plain, 3, 0.05)
    (gradient,) = torch.autograd.grad(found, small)
    assert found.item() == 0 and bool((gradient == 0).all())


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_outlines_against_variances_by_numpy(radius):
    codes = torch.randn(1, 4, 13, 16, generator=tiny.generator(), dtype=torch.float64)
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


@pytest.mark.parametrize("alike", [0.3, 1.0])
def test_patch_term_against_sorting_in_numpy(alike):
    output, target, codes = normal(20, 12), normal(20, 12, seed=1), normal(20, 3, seed=2)
    directions, code_directions = normal(12, 5, seed=3) / 9, normal(3, 5, seed=4) / 9
    found = objective.patch_term(output, target, codes, directions, code_directions, alike)
    unit = codes.numpy() / np.linalg.norm(codes.numpy(), axis=1, keepdims=True)
    distances, sizes = [], []
    for k in range(5):
        direction, code = directions[:, k].numpy(), code_directions[:, k].numpy()
        ours, theirs = (
            each.numpy() @ direction + codes.numpy() @ code for each in (output, target)
        )
        part = unit @ unit[k] > alike
        apart = [np.abs(np.sort(ours[p]) - np.sort(theirs[p])).sum() for p in (part, ~part)]
        distances.append(sum(apart) / 20)
        sizes.append(part.sum())
    assert found.item() == pytest.approx(np.mean(distances), rel=1e-12)
    assert all(0 < size < 20 for size in sizes) if alike < 1 else sum(sizes) == 0


@pytest.mark.parametrize("samples", [1, 2, 5, 2048, 4096, 4097])
def test_patches_that_learn_are_compared_in_order_up_to_the_last_bits(samples):
    """In float32, where the order comes from numbers whose last bits are blurred."""
    output, target = normal(samples, 3).float(), normal(samples, 3, seed=1).float()
    directions, nothing = normal(3, 2, seed=2).float(), torch.zeros(samples, 1)
    code_directions = torch.zeros(1, 2)
    output.requires_grad_()
    found = objective.patch_term(output, target, nothing, directions, code_directions, 1.0)
    ours, theirs = (each.detach().double() @ directions.double() for each in (output, target))
    difference = ours.sort(0).values - theirs.sort(0).values
    assert found.item() == pytest.approx(difference.abs().mean().item(), rel=1e-3)
    # Each sample has a place of its own, so each is pushed with the same strength.
    (gradient,) = torch.autograd.grad(found, output)
    pushes = (gradient.double() @ directions.double().pinverse().T) * samples * 2
    assert torch.allclose(pushes.abs(), torch.ones_like(pushes), atol=1e-3)
    places = np.argsort(ours.numpy(), 0)
    ranked = np.take_along_axis(pushes.numpy(), places, 0)
    agreed = np.sign(ranked) == np.sign(difference.numpy())
    assert agreed[np.abs(difference.numpy()) > 4e-3].all()


def test_patch_term_of_equal_distributions_is_zero():
    patches, directions, nothing = (
        normal(30, 12),
        normal(12, 5, seed=3),
        torch.zeros(30, 1).double(),
    )
    order = torch.randperm(30, generator=tiny.generator(5))
    code_directions = normal(1, 5, seed=4)
    found = objective.patch_term(patches[order], patches, nothing, directions, code_directions, 1.0)
    assert found.item() == pytest.approx(0, abs=1e-12)
    # The same patches in parts of another meaning are another joint distribution.
    codes = (torch.arange(30) < 15).double()[:, None] * 4
    swapped = objective.patch_term(
        patches.roll(15, 0), patches, codes, directions, code_directions, 1.0
    )
    assert swapped.item() > 0.05


def test_patch_term_moves_with_a_shift():
    """Wasserstein-1 of a set and its copy moved by v is |v · direction|."""
    patches, move = normal(40, 6), normal(6, seed=1)
    directions = normal(6, 7, seed=2)
    codes = torch.zeros(40, 1, dtype=torch.float64)
    found = objective.patch_term(patches + move, patches, codes, directions, normal(1, 7), 0.5)
    assert found.item() == pytest.approx((move @ directions).abs().mean().item(), rel=1e-9)


@pytest.mark.parametrize("side", [1, 3, 5, 7])
def test_patches_are_those_of_unfold(side):
    image = torch.rand(1, 2, 9, 11, generator=tiny.generator())
    radius = side // 2
    padded = torch.nn.functional.pad(image, (radius,) * 4, mode="reflect")
    columns = torch.nn.functional.unfold(padded, side)[0].T.reshape(9, 11, -1)
    rows = torch.tensor([0, 8, 4, 0, 8])
    places = torch.tensor([0, 10, 5, 10, 3])
    found = objective.take_patches(image, rows, places, side)
    assert torch.equal(found, columns[rows, places])


def test_gradients_reach_the_output_alone():
    output = torch.rand(1, 3, 16, 16, generator=tiny.generator(), requires_grad=True)
    target = torch.rand(1, 3, 16, 16, generator=tiny.generator(1))
    for value in (objective.pixel_term(output, target), objective.colour_term(output, target, 4)):
        (gradient,) = torch.autograd.grad(value, output)
        assert gradient.abs().sum() > 0


# Schedules.


@pytest.mark.parametrize(
    ("progress", "factor"),
    [
        (0.0, 0.1),
        (0.05, 0.1),
        (0.1, 0.1),
        (0.2, 0.55),
        (0.3, 1.0),
        (0.5, 1.0),
        (0.6, 1.0),
        (0.8, 0.5),
        (1.0, 0.0),
    ],
)
def test_schedules_join_their_knots_by_straight_lines(progress, factor):
    schedule = ((0.1, 0.1), (0.3, 1.0), (0.6, 1.0), (1.0, 0.0))
    assert factor_at(schedule, progress) == pytest.approx(factor)


def test_a_schedule_of_one_knot_is_constant():
    assert {factor_at(((0.4, 2.0),), p) for p in (0.0, 0.4, 0.7, 1.0)} == {2.0}


def test_schedules_are_numpys_interpolation():
    schedule = ((0.0, 0.2), (0.13, 1.7), (0.5, 0.0), (0.9, 0.4))
    for progress in np.linspace(0, 1, 101):
        expected = np.interp(progress, *zip(*schedule, strict=True))
        assert factor_at(schedule, float(progress)) == pytest.approx(expected, abs=1e-12)


def test_the_weight_of_a_term_follows_its_schedule():
    term = ColourTerm(weight=3, schedule=((0, 1), (0.5, 0)))
    assert [term.weight_at(p) for p in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([3, 1.5, 0, 0])
    assert Term(weight=2).weight_at(0.7) == 2
