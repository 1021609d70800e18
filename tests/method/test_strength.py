"""Strength: the way from the structure image to the full transfer."""

import numpy as np
import pytest
import tiny
import torch

from splice.method import objective
from splice.method.appearances import Appearance
from splice.method.palette import find_palettes
from splice.method.settings import Settings
from splice.method.strength import colour_between, given_back, nearest_between
from splice.method.tones import find_parts, tone_maps
from splice.method.transfer import Transfer
from splice.pictures.images import to_pil

STRUCTURE, APPEARANCE = tiny.picture(56, 66, 1), tiny.picture(60, 50, 2)


def make(strength: float, **changes) -> Transfer:
    settings = tiny.settings(strength=strength, **changes)
    return Transfer(STRUCTURE, APPEARANCE, settings, tiny.frozen())


def painted(strength: float, **changes) -> torch.Tensor:
    transfer = make(strength, **changes)
    list(transfer.steps())
    return transfer.output()


# The terms.


def features(width: int):
    """Output, own, theirs, matches, counts and mass of 5 and 7 patches."""
    random = tiny.generator(width)
    ours, own, theirs = (
        torch.rand(n, width, generator=random, dtype=torch.float64) for n in (5, 5, 7)
    )
    there, back = (torch.randint(n, (m,), generator=random) for n, m in ((7, 5), (5, 7)))
    counts, mass = (torch.rand(n, generator=random, dtype=torch.float64) for n in (5, 7))
    return ours, own, theirs, objective.Nearest(there, back), counts, mass


def test_at_strength_1_terms_are_those_of_the_objective():
    ours, own, theirs, nearest, counts, mass = features(6)
    costs = objective.token_costs(ours, theirs)
    found = nearest_between(ours, own, theirs, nearest, counts, mass, 1.0)
    torch.testing.assert_close(found, objective.nearest_term(costs, nearest, counts, mass))
    ours, own, theirs, nearest, counts, mass = features(3)
    found = colour_between(ours, own, theirs, nearest, counts, mass, 1.0)
    torch.testing.assert_close(found, objective.colour_term(ours, theirs, nearest, counts, mass))


def test_at_strength_0_the_structure_image_costs_nothing():
    for width, term in ((6, nearest_between), (3, colour_between)):
        _, own, *rest = features(width)
        assert term(own, own, *rest, 0.0).item() == pytest.approx(0, abs=1e-9)
        assert term(own, own, *rest, 0.5).item() > 0.01


@pytest.mark.parametrize("strength", [0.3, 0.8])
def test_terms_in_between_against_a_loop(strength):
    ours, own, theirs, nearest, counts, mass = (
        x if isinstance(x, tuple) else x.numpy() for x in features(3)
    )
    mean = theirs.mean(0)
    sums = {"cosine": np.zeros(2), "colour": np.zeros(2)}
    pairs = [[(i, j, counts[i]) for i, j in enumerate(nearest.there.tolist())]]
    pairs.append([(i, j, mass[j]) for j, i in enumerate(nearest.back.tolist())])
    for side, matches in enumerate(pairs):
        for i, j, weight in matches:
            wanted = (1 - strength) * own[i] + strength * theirs[j]
            a, b = ours[i] - mean, wanted - mean
            share = weight / sum(w for *_, w in matches)
            sums["cosine"][side] += share * (1 - a @ b / np.sqrt((a @ a) * (b @ b)))
            sums["colour"][side] += share * np.abs(ours[i] - wanted).mean()
    given = features(3)
    assert nearest_between(*given, strength).item() == pytest.approx(sums["cosine"].max())
    assert colour_between(*given, strength).item() == pytest.approx(sums["colour"].mean())


def test_tone_maps_go_from_the_identity_to_the_full_ones():
    method = make(1).method
    parts = find_parts(method.semantics, method.settings.tones, 0)
    looks = [Appearance(APPEARANCE[None])]

    def maps(strength: float) -> torch.Tensor:
        return tone_maps(STRUCTURE[None], looks, method.semantics, parts, 3.0, strength)

    identity = torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])[None, :, None, None]
    torch.testing.assert_close(maps(0.0), identity.expand_as(maps(0.0)), atol=1e-4, rtol=0)
    between = 0.3 * maps(1.0) + 0.7 * identity
    torch.testing.assert_close(maps(0.3), between, atol=1e-4, rtol=0)


def test_palettes_lie_on_the_way_between_sorted_colours():
    method = make(1).method

    def wanted(strength: float) -> torch.Tensor:
        looks = [Appearance(APPEARANCE[None])]
        given = STRUCTURE[None], looks, method.semantics, 0.7, tiny.generator(), strength
        return find_palettes(*given).wanted

    torch.testing.assert_close(wanted(0.25), 0.75 * wanted(0.0) + 0.25 * wanted(1.0))
    assert (wanted(0.0) - wanted(1.0)).abs().mean() > 0.01


def test_addresses_go_from_the_structure_image_s_own_to_the_lent_ones():
    own, half, most = (make(s).method.ground for s in (0.0, 0.5, 0.75))
    channels = own.lesson.addresses.shape[1]
    addresses = [each.inputs[:, :channels, :56, :66] for each in (own, half, most)]
    torch.testing.assert_close(addresses[1] - addresses[0], 2 * (addresses[2] - addresses[1]))
    assert own.own is not None
    torch.testing.assert_close(addresses[0], own.own[:, :channels, :56, :66])
    # At strength 0 the toned picture is the structure image.
    colours = [each[:, -3:, :56, :66] for each in (own.inputs, own.own, half.inputs)]
    torch.testing.assert_close(colours[0], colours[1], atol=0.02, rtol=0)
    assert (colours[2] - colours[0]).abs().mean() > 0.1
    # Its own part of them is 0 where the appearance image lends, and the other way around.
    assert addresses[0][:, : channels // 2].abs().max() == 0
    assert addresses[1][:, : channels // 2].abs().max() > 0


# The whole way.


@pytest.mark.parametrize("changes", [{}, {"steps": 0}, {"painted": 32}])
def test_strength_0_gives_the_structure_image_back(changes):
    transfer = make(0.0, **changes)
    for step in transfer.steps():
        assert step.losses["total"].item() == 0
    found, before = (np.asarray(to_pil(image)) for image in (transfer.output(), STRUCTURE))
    assert (found == before).all()


def test_what_the_generator_cannot_paint_is_given_back():
    own, photograph = torch.full((1, 3, 4, 4), 0.4), torch.full((1, 3, 4, 4), 0.7)
    assert torch.equal(given_back(own, own, photograph, 1.0), own)
    torch.testing.assert_close(given_back(own, own, photograph, 0.0), photograph)
    torch.testing.assert_close(given_back(own, own, photograph, 0.5), torch.full_like(own, 0.55))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 40])
def test_the_stronger_the_farther_from_the_structure_image(steps):
    """In mean colours of parts, and nearer to the full transfer."""
    changes = {"steps": steps, "painted": 40}
    pictures = [painted(strength, **changes) for strength in (0.0, 0.3, 0.6, 1.0)]

    def apart(a: torch.Tensor, b: torch.Tensor) -> float:
        coarse = [torch.nn.functional.adaptive_avg_pool2d(x, 8) for x in (a, b)]
        return (coarse[0] - coarse[1]).abs().mean().item()

    away = [apart(each, STRUCTURE) for each in pictures]
    assert away == sorted(away) and away[-1] > away[1] + 0.02 > 0.02, away
    left = [apart(each, pictures[-1]) for each in pictures]
    assert left == sorted(left, reverse=True), left


def test_the_published_method_has_the_full_strength_alone():
    with pytest.raises(ValueError, match="strength should be 1"):
        tiny.paper(strength=0.5)


@pytest.mark.parametrize(
    "values", [{"strength": 1.5}, {"strength": -0.1}, {"look_weights": (0, 0)}]
)
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match=r"strength|look_weights"):
        Settings(**values)
