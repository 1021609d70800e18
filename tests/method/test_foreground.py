"""What stands out, against all cuts there are, and where it lies in photographs."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F

from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.method.foreground import UNLIKE, best_cut, find_foreground, in_front
from splice.method.transfer import Transfer
from splice.pictures.images import read_image
from splice.running.presets import load_preset

ROOT = Path(__file__).parents[2]


def cut_cost(alike: np.ndarray, side: np.ndarray) -> float:
    """The normalised cut, one pair of patches after the other."""
    between = within = over = 0.0
    for i, j in product(range(len(alike)), repeat=2):
        within += alike[i, j] * side[i]
        over += alike[i, j] * (not side[i])
        between += alike[i, j] * (side[i] and not side[j])
    return between / within + between / over


@pytest.mark.parametrize("seed", range(6))
def test_the_cut_is_the_best_of_all(seed):
    """Two groups of tokens, of which a few lean to the other."""
    random = tiny.generator(seed)
    centre = torch.randn(1, 5, generator=random)
    groups = torch.tensor([1.0, -1, -1, 1, 1, -1, -1, -1, 1])[:, None]
    tokens = groups * centre + 0.7 * torch.randn(9, 5, generator=random)
    found = best_cut(tokens).numpy()
    unit = F.normalize(tokens - tokens.mean(0), dim=1).double()
    alike = np.where((unit @ unit.T).numpy() > 0, 1.0, UNLIKE)
    sides = [np.array(each) for each in product((False, True), repeat=9)][1:-1]
    best = min(cut_cost(alike, side) for side in sides)
    # An eigenvector's two values are what is given up for not trying all.
    assert cut_cost(alike, found) <= 1.15 * best + 1e-9


def test_the_side_with_less_of_the_border_is_in_front():
    side = torch.zeros(4, 5, dtype=torch.bool)
    side[1:, 1:3] = True
    assert torch.equal(in_front(side), side)
    assert torch.equal(in_front(~side), side)
    # Corners count once.
    assert int(side[0].sum() + side[-1].sum() + side[1:-1, 0].sum() + side[1:-1, -1].sum()) == 2


def test_a_mask_has_the_photograph_s_size_and_lies_in_the_mirror_too(vit):
    photograph = tiny.picture(70, 98, 3)[None]
    photograph[..., 20:50, 30:70] = photograph[..., 20:50, 30:70].flip(1) * 0.2
    mask = find_foreground(vit, photograph, 70)
    assert mask.shape == (70, 98)
    assert mask.min() >= 0 and mask.max() <= 1
    assert mask.max() > 0.5
    mirrored = find_foreground(vit, photograph.flip(-1), 70).flip(-1)
    assert (mask - mirrored).abs().mean() < 0.02


def test_what_does_not_stand_out_is_kept(vit):
    structure, appearance = tiny.picture(60, 80, 3), tiny.picture(56, 70, 4)
    settings = tiny.settings(steps=2, keep_background=True)
    transfer = Transfer(structure, appearance, settings, vit)
    list(transfer.steps())
    mask, output = transfer.frame.mask, transfer.output()
    assert mask is not None
    outside = (mask[0, 0] == 0).expand_as(output)
    assert torch.equal(output[outside], structure[outside])
    assert (output - structure).abs()[~outside].mean() > 0.01
    # A mask that is given says more.
    given = torch.zeros(60, 80)
    given[:, :40] = 1
    transfer = Transfer(structure, appearance, settings, vit, structure_mask=given)
    assert torch.equal(transfer.frame.mask[0, 0], given)


def test_where_nothing_stands_out_that_is_told(monkeypatch, vit):
    monkeypatch.setattr(
        "splice.method.foreground.best_cut",
        lambda tokens: torch.zeros(len(tokens), dtype=torch.bool),
    )
    with pytest.raises(InputError, match="nothing stands out in the structure image; leave --keep"):
        find_foreground(vit, tiny.picture(60, 80, 3)[None], 56)


def test_the_published_method_keeps_no_background():
    with pytest.raises(InputError, match="should be false with method paper"):
        load_preset("paper", {"keep_background": "true"})


@pytest.mark.network
def test_a_bison_stands_out_of_its_meadow():
    vit = FrozenViT.load("dinov2_vits14")
    (file,) = (ROOT / "datasets" / "samples" / "prairie" / "A").iterdir()
    mask = find_foreground(vit, read_image(file)[None])
    height, width = mask.shape
    middle = mask[int(0.4 * height) : int(0.6 * height), int(0.4 * width) : int(0.6 * width)]
    assert middle.mean() > 0.9
    assert mask[: height // 10].mean() < 0.1
    assert mask[:, : width // 20].mean() < 0.3
