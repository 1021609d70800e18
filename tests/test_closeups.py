"""Where close-ups are cut."""

import tiny
import torch

from splice.closeups import Closeups
from splice.preparation import Preparation


def closeups(**changes: float) -> Closeups:
    pair = tiny.picture(70, 98, 1)[None], tiny.picture(84, 70, 2)[None]
    settings = tiny.settings(objective={"closeups": changes})
    return Preparation(*pair, settings, tiny.frozen()).closeups


def test_closeups_are_squares_of_all_sizes_everywhere():
    found, random = closeups(smallest=0.25, largest=0.5), tiny.generator(3)
    output = torch.zeros(1, 3, 60, 80)
    views = [found.draw(output, random) for _ in range(500)]
    for view in views:
        assert view.height == view.width and not view.flip
        assert 0 <= view.top <= 60 - view.height and 0 <= view.left <= 80 - view.width
    sides = {view.height for view in views}
    assert sides == set(range(15, 31))
    assert {view.top for view in views} >= set(range(30))
    assert {view.left for view in views} >= set(range(50))


def test_a_closeup_of_a_tiny_output_is_at_least_a_pixel():
    view = closeups(smallest=0.1, largest=0.1).draw(torch.zeros(1, 3, 3, 3), tiny.generator())
    assert (view.height, view.width) == (1, 1)
