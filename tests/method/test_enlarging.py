"""Paintings made large: what the little network is, and that it learns what there is to learn."""

import pytest
import tiny
import torch
import torch.nn.functional as F

from splice.method.detail import detail_of
from splice.method.enlarging import Enlarger, enlarged, learn_enlarging

ADDRESSES = torch.randn(1, 10, 32, 40, generator=tiny.generator(3))


def striped(seed: int) -> torch.Tensor:
    """Fine stripes of one colour, whose brightness tells them, over something smooth."""
    coarse = torch.rand(1, 3, 3, 3, generator=tiny.generator(seed))
    smooth = 0.3 + 0.4 * F.interpolate(coarse, size=(64, 80), mode="bilinear")
    stripes = torch.arange(80).remainder(3).eq(0).float() - 1 / 3
    return smooth + torch.tensor([0.3, 0.1, 0.0])[:, None, None] * stripes


def test_it_starts_by_adding_nothing():
    x = tiny.picture(20, 24, 1)[None]
    enlarger = Enlarger(tiny.generator())
    assert torch.equal(enlarger(x, torch.ones(1, 8, 20, 24), torch.ones(1, 2, 20, 24)), x)


@torch.no_grad()
def test_it_adds_what_its_layers_say():
    enlarger = Enlarger(tiny.generator())
    torch.nn.init.normal_(enlarger.layers[-1].weight, 0, 0.1, tiny.generator(1))
    x, codes = tiny.picture(9, 12, 1)[None], ADDRESSES[:, :8, :9, :12]
    detail = torch.randn(1, 2, 9, 12, generator=tiny.generator(2))
    maps = torch.cat([4 * x - 2, codes, detail], 1)
    for i, layer in enumerate(enlarger.layers):
        around = F.unfold(F.pad(maps, (1, 1, 1, 1)), 3)
        maps = (layer.weight.flatten(1) @ around + layer.bias[:, None]).unflatten(2, (9, 12))
        maps = torch.where(maps < 0, 0.2 * maps, maps) if i < 3 else maps
    torch.testing.assert_close(enlarger(x, codes, detail), x + maps, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_it_learns_the_fine_detail_of_the_appearance_image_and_gives_it_to_another():
    """Both have red stripes, and both are blurred: their detail says where stripes are."""
    appearance, structure = striped(1), striped(2)
    enlarger = learn_enlarging(appearance, ADDRESSES, structure, 0, torch.float32)
    small = F.interpolate(structure, size=(32, 40), mode="bicubic", antialias=True).clamp(0, 1)
    plain = F.interpolate(small, size=(64, 80), mode="bicubic")
    found = enlarged(enlarger, small, ADDRESSES, structure)
    assert found.shape == structure.shape
    before, after = ((x - structure).abs().mean().item() for x in (plain, found))
    assert after < 0.6 * before
    assert not any(weight.requires_grad for weight in enlarger.parameters())


def test_the_same_seed_learns_the_same_and_no_more_steps_than_are_given():
    pair = striped(1), striped(2)
    first, same, other, nothing = (
        learn_enlarging(pair[0], ADDRESSES, pair[1], seed, torch.float32, steps)
        for seed, steps in ((1, 2), (1, 2), (2, 2), (1, 0))
    )
    last = [each.layers[-1].weight for each in (first, same, other, nothing)]
    assert torch.equal(last[0], last[1])
    assert not torch.equal(last[0], last[2])
    assert not bool(last[3].any())


@torch.no_grad()
def test_a_painting_is_enlarged_with_the_photograph_s_detail():
    enlarger = Enlarger(tiny.generator())
    torch.nn.init.normal_(enlarger.layers[-1].weight, 0, 0.02, tiny.generator(1))
    painting, photograph = tiny.picture(32, 40, 1)[None], tiny.picture(63, 80, 2)[None]
    large = F.interpolate(painting, size=(63, 80), mode="bicubic").clamp(0, 1)
    codes = F.interpolate(ADDRESSES[:, :8], size=(63, 80), mode="bilinear")
    expected = enlarger(large, codes, detail_of(photograph, (2, 6), 1e-3)).clamp(0, 1)
    found = enlarged(enlarger, painting, ADDRESSES, photograph)
    torch.testing.assert_close(found, expected)
    assert (found - large).abs().mean() > 0.005


def test_pictures_smaller_than_a_crop_are_learnt_from_as_they_are():
    small = tiny.picture(5, 4, 1)[None]
    enlarger = learn_enlarging(small, ADDRESSES[..., :3, :2], small, 0, torch.float32, 2)
    found = enlarged(enlarger, small[..., :3, :2], ADDRESSES[..., :3, :2], small)
    assert found.shape == small.shape
