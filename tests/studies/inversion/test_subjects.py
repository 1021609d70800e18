"""Which blocks are inverted, and how large the picture is seen."""

import torch
from small_inversion import settings

from splice.studies.inversion.subjects import seen, subjects


def test_all_and_deepest_blocks(vit):
    blocks = {
        name: [s.block for s in subjects(settings(blocks=name), vit)] for name in ("all", "deepest")
    }
    assert blocks == {"all": [1, 2, 3], "deepest": [3]}


def test_seen_has_the_size_that_the_backbone_takes(vit):
    picture = torch.rand(3, 300, 700, generator=torch.Generator().manual_seed(0))
    assert seen(picture, vit, 112).shape == (3, 112, 240)  # 7 and, cut from 261 px, 15 patches
    picture = torch.rand(3, 90, 100, generator=torch.Generator().manual_seed(0))
    assert seen(picture, vit, 160).shape == (3, 160, 176)
