"""The appearance image in other colours: where they come from, and how far they go."""

import numpy as np
import pytest
import tiny
import torch
from test_views import spread

from splice.recolour import Recolouring
from splice.semantics import Semantics
from splice.settings import GeneratorSettings, Settings
from splice.underpainting import smooth_part
from splice.views import View, entire

GRID = (1, 8)
RED, BLUE, GREEN, WHITE = (
    torch.tensor(c)[:, None, None]
    for c in ([0.8, 0.2, 0.2], [0.2, 0.2, 0.8], [0.3, 0.6, 0.3], [0.9, 0.9, 0.9])
)


def halves(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """A picture of 4 × 32 pixels whose halves are flat."""
    return torch.cat([left.expand(3, 4, 16), right.expand(3, 4, 16)], -1)[None]


STRUCTURE, APPEARANCE = halves(RED, BLUE), halves(GREEN, WHITE)


def crossed() -> Semantics:
    """The left half of one picture means the same as the right half of the other."""
    similarity = -torch.ones(8, 8)
    similarity[:4, 4:] = similarity[4:, :4] = 1
    codes = torch.zeros(1, 1, 4, 32)
    return Semantics(codes, codes, similarity.expand(2, 8, 8), torch.ones(2, 8, 8), GRID, GRID, 0)


def settings(**changes: float) -> Settings:
    values = {"recolour": 1.0, "contrast": 0.0, "tint": 0.0, **changes}
    return tiny.settings(objective={"pixel_identity": values}, meaning={"radius": 0})


def recolouring(**changes: float) -> Recolouring:
    return Recolouring(STRUCTURE, APPEARANCE, crossed(), settings(**changes))


def share(changed: torch.Tensor, start: torch.Tensor, end: torch.Tensor) -> float:
    """How far a flat colour went from start to end; fails if it left that line."""
    span = (end - start).flatten()
    way = (changed - start.flatten()) @ span / (span @ span)
    torch.testing.assert_close(changed, start.flatten() + way * span, atol=1e-5, rtol=0)
    return float(way)


@pytest.mark.parametrize("flip", [False, True])
def test_each_part_goes_towards_the_colours_of_its_counterpart(flip):
    change = recolouring()
    view = View(0, 0, 4, 32, flip)
    shares = []
    for seed in range(200):
        image = change(view.cut(APPEARANCE), view, tiny.generator(seed))[0]
        image = image.flip(-1) if flip else image
        # On the left is green, which belongs to the blue right of the structure image. Columns
        # near the edge between the halves, where the coarse map is blended, are left out.
        ways = [share(image[0, :, 1, c], GREEN, BLUE) for c in (0, 5, 11)]
        ways += [share(image[0, :, 1, c], WHITE, RED) for c in (20, 25, 31)]
        assert max(ways) - min(ways) < 1e-4
        shares.append(ways[0])
    spread(shares, -1e-6, 1 + 1e-6)


def test_how_far_it_goes():
    change, shares = recolouring(recolour=0.4), []
    for seed in range(200):
        image = change(APPEARANCE, entire(APPEARANCE), tiny.generator(seed))[0]
        shares.append(share(image[0, :, 2, 2], GREEN, BLUE))
    spread(shares, -1e-6, 0.4 + 1e-6)


def test_a_part_of_the_picture():
    change, view = recolouring(), View(0, 20, 4, 4)
    image = change(view.cut(APPEARANCE), view, tiny.generator(1))[0]
    whole = change(APPEARANCE, entire(APPEARANCE), tiny.generator(1))[0]
    torch.testing.assert_close(image, whole[..., 20:24])


def test_contrast_and_tint():
    """The picture is stretched about its mean colour and moved, both at random."""
    change = recolouring(recolour=0.0, contrast=0.3, tint=0.05)
    picture = 0.3 + 0.4 * tiny.picture(4, 32)[None]
    stretches, moves = [], []
    for seed in range(200):
        image = change(picture, entire(picture), tiny.generator(seed))[0]
        centred = [x - x.mean((2, 3), keepdim=True) for x in (image, picture)]
        stretch = float((centred[0] * centred[1]).sum() / centred[1].square().sum())
        torch.testing.assert_close(centred[0], stretch * centred[1], atol=1e-5, rtol=0)
        stretches.append(stretch)
        moves.append((image.mean((2, 3)) - picture.mean((2, 3)))[0].numpy())
    spread(stretches, 0.7 - 1e-4, 1.3 + 1e-4)
    for channel in range(3):
        spread(np.stack(moves)[:, channel], -0.05 - 1e-4, 0.05 + 1e-4)


def test_nothing_leaves_the_range():
    change = recolouring(recolour=2.0, contrast=1.0, tint=1.0)
    for seed in range(30):
        image = change(APPEARANCE, entire(APPEARANCE), tiny.generator(seed))[0]
        assert float(image.min()) >= 0
        assert float(image.max()) <= 1


def test_the_generator_decides():
    change = recolouring(contrast=0.3, tint=0.1)
    first, same, other = (
        change(APPEARANCE, entire(APPEARANCE), tiny.generator(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_detail_is_what_the_smooth_part_of_the_recoloured_picture_leaves():
    structure, appearance = (0.3 + 0.4 * tiny.picture(28, 56, seed)[None] for seed in (1, 2))
    similarity = torch.rand(8, 8, generator=tiny.generator())
    codes = torch.zeros(1, 1, 28, 56)
    meaning = Semantics(
        codes, codes, similarity.expand(2, 8, 8), torch.ones(2, 8, 8), (2, 4), (2, 4), 0
    )
    changes = {"recolour": 0.2, "contrast": 0.2, "tint": 0.05}
    change = Recolouring(structure, appearance, meaning, settings(**changes))
    for seed in range(5):
        image, detail = change(appearance, entire(appearance), tiny.generator(seed))
        assert float(image.min()) > 0 and float(image.max()) < 1, "nothing is cut off"
        expected = image - smooth_part(image, appearance, 20)
        torch.testing.assert_close(detail, expected, atol=1e-5, rtol=0)
        part = View(4, 8, 20, 24, flip=True)
        # Contrast is stretched about the mean of what is seen: no difference of detail.
        found = change(part.cut(appearance), part, tiny.generator(seed))[1]
        torch.testing.assert_close(found, part.cut(expected), atol=1e-5, rtol=0)


def test_without_an_underpainting_there_is_no_detail():
    plain = settings().model_copy(update={"generator": GeneratorSettings(underpainting=0)})
    change = Recolouring(STRUCTURE, APPEARANCE, crossed(), plain)
    assert change(APPEARANCE, entire(APPEARANCE), tiny.generator(1))[1] is None
