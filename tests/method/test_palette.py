"""The colours of each part against sorting in NumPy, and where they come from."""

import pytest
import tiny
import torch

from splice.method import palette
from splice.method.appearances import Appearance
from splice.method.palette import Palettes, find_palettes, palette_term, projections
from splice.method.semantics import Semantics

SIZE = (16, 32)
STRUCTURE = tiny.picture(*SIZE)[None]


def crossed() -> Semantics:
    """A pair of two parts: the left half, a quarter wide, is to look as the right half of the other."""
    codes = torch.ones(1, 8, *SIZE)
    codes[..., 8:] = -1
    ours, theirs = torch.tensor([0, 1, 1, 1] * 2), torch.tensor([0, 0, 1, 1] * 2)
    likeness = (ours[:, None] != theirs).float() * 10
    return tiny.semantics(codes, likeness, (2, 4), (2, 4))


def appearance() -> torch.Tensor:
    """Each pixel has a colour of its own; red tells the left half from the right one."""
    colours = torch.rand(1, 3, *SIZE, generator=tiny.generator(1)) / 2
    colours[:, 0, :, 16:] += 0.5
    return colours


def test_directions_are_unit_and_spread_over_a_half_sphere():
    directions = projections(torch.eye(3)[None])[0].double()
    assert directions.shape == (16, 3)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(16).double())
    cosines = (directions @ directions.T).fill_diagonal_(0).abs()
    assert cosines.max() < 0.95
    # Of a uniform distribution, the mean of d dᵀ is a third of the identity.
    spread = directions.T @ directions / 16
    torch.testing.assert_close(spread, torch.eye(3).double() / 3, atol=0.03, rtol=0)


def test_a_part_s_colours_come_from_where_it_is_like(monkeypatch):
    monkeypatch.setattr(palette, "SAMPLES", 64)
    image = appearance()
    found = find_palettes(STRUCTURE, [Appearance(image)], crossed(), 0.7, tiny.generator())
    assert found.pixels.shape == (2, 64)
    columns = found.pixels % SIZE[1]
    left = 0 if int(columns[0].max()) < 8 else 1
    assert int(columns[left].max()) < 8 <= int(columns[1 - left].min())
    candidates = image[0].flatten(1).T
    for part, half in ((left, slice(16, 32)), (1 - left, slice(0, 16))):
        colours = image[0, :, :, half].flatten(1).T
        own, all_of_them = (
            {round(v, 5) for v in projections(x[None])[0, 3].tolist()}
            for x in (colours, candidates)
        )
        drawn = {round(value, 5) for value in found.wanted[part, 3].tolist()}
        assert drawn <= own < all_of_them
        assert len(drawn) > 40
    assert bool((found.wanted.diff(dim=-1) >= 0).all())


def test_a_picture_of_fewer_pixels_than_patches_has_palettes_for_those_it_has():
    codes = torch.randn(1, 8, 2, 3, generator=tiny.generator())
    likeness = torch.randn(48, 12, generator=tiny.generator(1))
    semantics = tiny.semantics(codes, likeness, (6, 8), (3, 4))
    found = find_palettes(STRUCTURE, [Appearance(appearance())], semantics, 0.7, tiny.generator())
    assert 1 <= len(found.weights) <= 6
    assert set(found.pixels.flatten().tolist()) == set(range(6))


@pytest.mark.parametrize("evenness", [0.0, 0.7, 1.0])
def test_small_parts_count_as_much_more_as_is_said(evenness):
    found = find_palettes(
        STRUCTURE, [Appearance(appearance())], crossed(), evenness, tiny.generator()
    )
    sizes = [8 * 16, 24 * 16]
    expected = [size ** (1 - evenness) for size in sizes]
    expected = sorted(value / sum(expected) for value in expected)
    assert sorted(found.weights.tolist()) == pytest.approx(expected, rel=1e-5)


def random_palettes() -> Palettes:
    pixels = torch.randint(35, (3, 11), generator=tiny.generator(2))
    wanted = torch.randn(3, 16, 11, generator=tiny.generator(3), dtype=torch.float64)
    return Palettes(pixels, wanted.sort(-1).values, torch.tensor([0.5, 0.2, 0.3]).double())


def test_the_term_is_the_distance_of_sorted_projections():
    output = torch.rand(1, 3, 5, 7, generator=tiny.generator(), dtype=torch.float64)
    palettes = random_palettes()
    directions = projections(torch.eye(3, dtype=torch.float64)[None])[0].numpy()
    total = 0.0
    for part, weight in enumerate([0.5, 0.2, 0.3]):
        colours = [output[0, :, p // 7, p % 7].numpy() for p in palettes.pixels[part].tolist()]
        for number, direction in enumerate(directions):
            ours = sorted(float(colour @ direction) for colour in colours)
            theirs = palettes.wanted[part, number].tolist()
            apart = [abs(a - b) for a, b in zip(ours, theirs, strict=True)]
            total += weight * sum(apart) / len(apart) / 16
    assert palette_term(output, palettes).item() == pytest.approx(total, rel=1e-6)


def test_the_same_colours_in_any_order_cost_nothing_and_a_shift_what_it_is():
    output = torch.rand(1, 3, 5, 7, generator=tiny.generator(), dtype=torch.float64)
    pixels = torch.stack([torch.randperm(35, generator=tiny.generator(s)) for s in (1, 2)])
    colours = output[0].flatten(1).T[pixels]
    wanted = projections(colours[:, torch.randperm(35)]).sort(-1).values
    palettes = Palettes(pixels, wanted, torch.tensor([0.4, 0.6]).double())
    assert palette_term(output, palettes).item() == pytest.approx(0, abs=1e-12)
    move = torch.tensor([0.1, -0.2, 0.05]).double()
    expected = (projections(torch.eye(3).double()[None])[0] @ move).abs().mean().item()
    moved = output + move[:, None, None]
    assert palette_term(moved, palettes).item() == pytest.approx(expected, rel=1e-6)


def test_the_gradient_is_the_difference():
    output = torch.rand(1, 3, 5, 7, generator=tiny.generator(), dtype=torch.float64)
    palettes = random_palettes()
    assert torch.autograd.gradcheck(lambda x: palette_term(x, palettes), output.requires_grad_())
