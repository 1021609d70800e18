"""Patches of the output against those that their look comes from, on pictures of two halves."""

import pytest
import tiny
import torch

from splice import objective
from splice.patches import MatchedPatches
from splice.scales import Levels
from splice.semantics import Semantics
from splice.terms import PatchTerm
from splice.views import View

RED, BLUE = (torch.tensor(c)[:, None, None] for c in ([0.9, 0.1, 0.2], [0.1, 0.2, 0.8]))
SIDE = 16
WHOLE = View(0, 0, SIDE, SIDE)


def halves(left: torch.Tensor, right: torch.Tensor, side: int = SIDE) -> torch.Tensor:
    half = (3, side, side // 2)
    return torch.cat([left.expand(half), right.expand(half)], -1)[None]


def matched(matches, appearance=None, semantics: float = 0.0, **changes) -> MatchedPatches:
    """The structure image's two halves are its two patches, of codes -1 and 1."""
    codes = torch.ones(1, 1, SIDE, SIDE)
    codes[..., : SIDE // 2] = -1
    meaning = Semantics(codes, codes, torch.zeros(2, 2, 2), torch.zeros(2, 2, 2), (1, 2), (1, 2), 0)
    values = {
        "side": 1,
        "samples": 512,
        "projections": 16,
        "scales": (1.0,),
        "window": 1.0,
        "alike": 1.0,
        **changes,
    }
    appearance = halves(RED, BLUE) if appearance is None else appearance
    settings = PatchTerm(weight=1.0, semantics=semantics, **values)
    return MatchedPatches(appearance, meaning, torch.tensor(matches), settings)


def of_pictures(patches: MatchedPatches):
    return lambda picture, view, generator: patches(Levels(picture), view, generator)


def term(*arguments, **changes):
    return of_pictures(matched(*arguments, **changes))


CROSSED = [[0.0, 1.0], [1.0, 0.0]]
RIGHT = [[0.0, 1.0], [0.0, 1.0]]


def test_parts_get_the_look_of_their_counterparts():
    """The left half of the structure image takes after the right half of the other picture."""
    distance = term(CROSSED, semantics=4.0)
    right = distance(halves(BLUE, RED), WHOLE, tiny.generator(1))
    wrong = distance(halves(RED, BLUE), WHOLE, tiny.generator(1))
    assert right.item() == pytest.approx(0, abs=1e-6)
    assert wrong.item() > 0.1


def test_without_meaning_only_the_whole_distribution_counts():
    distance = term(CROSSED, semantics=0.0)
    wrong = distance(halves(RED, BLUE), WHOLE, tiny.generator(1))
    assert wrong.item() < 0.05


def test_parts_of_one_meaning_are_compared_apart():
    """Also where random directions of meaning tell nothing, and however small a part is."""
    few = [[0.0, 1.0], [1.0, 0.0]]
    distance = term(few, semantics=0.0, alike=0.5)
    wrong = distance(halves(RED, BLUE), WHOLE, tiny.generator(1)).item()
    assert wrong > 0.1
    assert distance(halves(BLUE, RED), WHOLE, tiny.generator(1)).item() < 1e-6
    # An eye in a face: a column of one pixel whose look is the other half's.
    codes = torch.full((1, 1, SIDE, SIDE), -1.0)
    codes[..., 5] = 1
    face, eye = halves(RED, RED), halves(RED, RED)
    eye[..., 5] = BLUE[..., 0]
    meaning = Semantics(
        codes, codes, torch.zeros(2, SIDE, 2), torch.zeros(2, 2, 2), (1, SIDE), (1, 2), 0
    )
    matches = torch.tensor([[1.0, 0.0]]).repeat(SIDE, 1)
    matches[5] = torch.tensor([0.0, 1.0])
    settings = PatchTerm(
        weight=1,
        semantics=0,
        side=1,
        samples=512,
        projections=16,
        scales=(1.0,),
        window=1,
    )
    distance = of_pictures(MatchedPatches(halves(RED, BLUE), meaning, matches, settings))
    found = [distance(each, WHOLE, tiny.generator(1)).item() for each in (face, eye)]
    moved = distance(eye.roll(3, -1), WHOLE, tiny.generator(1)).item()
    assert found[1] < 1e-6
    assert found[0] > 0.01
    assert moved > 1.5 * found[0]  # without parts, as good as the eye in its place


def test_in_windows_each_part_counts_by_itself():
    distance = term(CROSSED, semantics=0.0, window=0.25)
    wrong, right = (
        [distance(picture, WHOLE, tiny.generator(seed)).item() for seed in range(8)]
        for picture in (halves(RED, BLUE), halves(BLUE, RED))
    )
    assert sum(wrong) / len(wrong) > 0.1
    assert max(right) < 1e-6


def test_windows_lie_everywhere_and_reach_all_sizes(monkeypatch):
    found = []

    def keep(image, rows, columns, side):
        found.append(rows.double())
        return torch.zeros(len(rows), 3)

    monkeypatch.setattr(objective, "take_patches", keep)
    distance, view = term(RIGHT, window=0.25), View(0, 0, SIDE, SIDE)
    for seed in range(300):
        distance(torch.zeros(1, 3, SIDE, SIDE), view, tiny.generator(seed))
    extents = torch.stack([rows.max() - rows.min() + 1 for rows in found[::2]])
    assert 4 <= extents.min() <= 5 and extents.max() >= SIDE - 1
    starts = torch.stack([rows.min() for rows in found[::2]])
    ends = torch.stack([rows.max() for rows in found[::2]])
    assert starts.min() == 0 and ends.max() == SIDE - 1


def test_every_target_comes_from_the_half_that_corresponds():
    distance = term(RIGHT)
    assert distance(halves(BLUE, BLUE), WHOLE, tiny.generator(1)).item() < 1e-6
    assert distance(halves(RED, RED), WHOLE, tiny.generator(1)).item() > 0.1
    # Within the half all pixels are drawn alike often: a ramp is matched by a ramp, not by its end.
    ramp = torch.linspace(0, 1, SIDE // 2).expand(3, SIDE, -1)
    appearance = torch.cat([torch.zeros_like(ramp), ramp], -1)[None]
    distance = term(RIGHT, appearance, samples=4096)
    same = distance(ramp.repeat(1, 1, 2)[None], WHOLE, tiny.generator(1)).item()
    end = distance(ramp.pow(3).repeat(1, 1, 2)[None], WHOLE, tiny.generator(1)).item()
    assert same < 0.03
    assert end > 4 * same


def test_rows_and_columns_within_a_part_are_drawn_apart():
    """A chequered half: drawn along its diagonal alone, it would be of one colour."""
    chequered = torch.zeros(1, 3, SIDE, SIDE)
    chequered[..., : SIDE // 2, SIDE // 2 : 3 * SIDE // 4] = 1
    chequered[..., SIDE // 2 :, 3 * SIDE // 4 :] = 1
    distance = term(RIGHT, chequered, samples=4096)
    stripes = torch.zeros(1, 3, SIDE, SIDE)
    stripes[..., ::2] = 1
    assert distance(stripes, WHOLE, tiny.generator(1)).item() < 0.03
    assert distance(stripes * 0 + 1, WHOLE, tiny.generator(1)).item() > 0.2


def test_rows_of_matches_are_chances():
    distance = term([[0.3, 0.7], [0.3, 0.7]], samples=4096)
    random = torch.rand(1, 1, SIDE, SIDE, generator=tiny.generator(2))

    def mixture(red: float) -> torch.Tensor:
        return torch.where(random < random.flatten().quantile(red), RED, BLUE)

    values = [distance(mixture(red), WHOLE, tiny.generator(1)).item() for red in (0.3, 0.5, 0.7)]
    assert values[0] < 0.3 * values[1] < 0.3 * values[2]


@pytest.mark.parametrize(
    ("view", "right", "wrong"),
    [
        (View(0, 0, SIDE, SIDE, True), halves(RED, BLUE), halves(BLUE, RED)),
        (View(3, 8, 8, 8), halves(RED, RED, 8), halves(BLUE, BLUE, 8)),
        (View(3, 8, 8, 8, True), halves(RED, RED, 8), halves(BLUE, BLUE, 8)),
        (View(8, 0, 8, 8), halves(BLUE, BLUE, 8), halves(RED, RED, 8)),
        (View(4, 4, 8, 8), halves(BLUE, RED, 8), halves(RED, BLUE, 8)),
        (View(4, 4, 8, 8, True), halves(RED, BLUE, 8), halves(BLUE, RED, 8)),
    ],
)
def test_views_are_traced_back_to_the_picture(view, right, wrong):
    distance = term(CROSSED, semantics=4.0)
    assert distance(right, view, tiny.generator(1)).item() == pytest.approx(0, abs=1e-6)
    assert distance(wrong, view, tiny.generator(1)).item() > 0.1


@pytest.mark.parametrize(
    ("side", "expected"), [(256, [1, 2, 4]), (512, [1, 2, 4, 8]), (100, [1, 2, 4])]
)
def test_a_larger_picture_adds_finer_scales(side, expected):
    distance = matched(CROSSED, torch.rand(1, 3, side, side + 20), scales=(1.0, 2.0, 4.0))
    assert distance.scales == expected


def test_fine_patterns_count_and_where_they_lie_does_not():
    """Vertical stripes, moved by a pixel, are the same pattern; horizontal ones are another."""
    stripes = torch.zeros(1, 3, SIDE, SIDE)
    stripes[..., ::2] = 1
    distance = term(RIGHT, stripes, side=3, samples=2048)
    same = distance(stripes, WHOLE, tiny.generator(1)).item()
    moved = distance(stripes.roll(1, -1), WHOLE, tiny.generator(1)).item()
    turned = distance(stripes.transpose(2, 3).contiguous(), WHOLE, tiny.generator(1)).item()
    assert max(same, moved) < 0.3 * turned


def test_a_picture_smaller_than_a_patch_has_no_such_distance():
    distance = term(CROSSED, halves(RED, BLUE, 4), side=9)
    output = halves(RED, BLUE, 4).requires_grad_()
    value = distance(output, View(0, 0, 4, 4), tiny.generator(1))
    assert value.item() == 0
    value.backward()


def test_the_generator_decides_and_the_output_gets_the_gradient():
    distance = term(CROSSED, side=3)
    output = tiny.picture(SIDE, SIDE)[None].requires_grad_()
    first, same, other = (distance(output, WHOLE, tiny.generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    (gradient,) = torch.autograd.grad(first, output)
    after = distance(output - 0.05 * gradient / gradient.norm(), WHOLE, tiny.generator(1))
    assert after.item() < first.item()
