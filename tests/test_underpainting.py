"""What the generator starts from, against guided filters of its parts."""

import pytest
import tiny
import torch

from splice.preparation import Preparation
from splice.semantics import guided_upsampling
from splice.underpainting import smooth_part, underpainting
from splice.views import View, entire


def test_the_smooth_part_is_a_guided_filter_of_eight_pixels_at_256():
    guide, maps = tiny.picture(128, 160, 1)[None], tiny.picture(128, 160, 2)[None]
    expected = guided_upsampling(maps, guide, 4, 0.01)
    torch.testing.assert_close(smooth_part(maps, guide, 8), expected)
    assert not torch.allclose(smooth_part(maps, guide, 16), expected, atol=1e-3)


def test_detail_lies_over_smooth_colours():
    colours, detail = torch.full((1, 3, 4, 4), 0.4), torch.zeros(1, 3, 4, 4)
    detail[..., 1, 2], detail[..., 2, 2], detail[..., 3, 3] = 0.2, -0.7, 0.7
    found = underpainting(colours, detail).sigmoid()[0, 0]
    assert found[0, 0].item() == pytest.approx(0.4)
    assert found[1, 2].item() == pytest.approx(0.6)
    # What is out of range keeps away from the ends, where logits would be infinite.
    assert found[2, 2].item() == pytest.approx(0.02)
    assert found[3, 3].item() == pytest.approx(0.98)


@pytest.mark.parametrize("role", ["structure", "appearance"])
def test_a_picture_lies_over_its_collage(role):
    pictures = {
        "structure": tiny.picture(70, 98, 1)[None],
        "appearance": tiny.picture(84, 70, 2)[None],
    }
    prepared = Preparation(*pictures.values(), tiny.settings(), tiny.frozen())
    picture, collage = pictures[role], prepared.collages[role]
    colours, plain = (guided_upsampling(x, picture, 2, 0.01) for x in (collage, picture))
    wanted = (colours + picture - plain).clamp(0.02, 0.98)
    found = prepared.underpainting(role, entire(picture)).sigmoid()
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    view = View(10, 6, 40, 50, flip=True)
    part = prepared.underpainting(role, view).sigmoid()
    torch.testing.assert_close(part, wanted[..., 10:50, 6:56].flip(-1), atol=1e-5, rtol=0)
    other = prepared.underpainting(role, view, torch.zeros(1, 3, 40, 50)).sigmoid()
    expected = view.cut(colours).clamp(0.02, 0.98)
    torch.testing.assert_close(other, expected, atol=1e-5, rtol=0)
