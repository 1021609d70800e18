"""One or several appearance images, and parts of them alone."""

import math

import pytest
import small_run
import tiny
import torch
from embedded_weights import embedded_cache, embedded_wheel  # noqa: F401

from splice.backbones.frozen_vit import FrozenViT
from splice.errors import InputError
from splice.method.appearances import Appearance, Patches, colours_in, patches_in, side_by_side
from splice.method.correspondence import correspondence, correspondence_to_all
from splice.method.semantics import find_semantics
from splice.method.settings import Meaning, Settings
from splice.method.transfer import Transfer
from splice.pictures.images import read_image

STRUCTURE, APPEARANCE, OTHER = (tiny.picture(*s) for s in ((56, 70, 1), (60, 50, 2), (64, 90, 3)))


def painted(looks, settings=None, **masks) -> torch.Tensor:
    transfer = Transfer(
        STRUCTURE, looks, settings or tiny.settings(steps=4), tiny.frozen(), **masks
    )
    list(transfer.steps())
    return transfer.output()


def half(height: int, width: int, left: bool = True) -> torch.Tensor:
    mask = torch.zeros(height, width)
    mask[:, : width // 2] = 1
    return mask if left else 1 - mask


# Parts of a picture.


def test_no_pixel_outside_of_a_mask_has_a_part_in_the_output():
    """Whatever stands there, in the picture and in what is seen around what takes part."""
    mask, noise = half(60, 50), torch.rand(3, 60, 50, generator=tiny.generator(9))
    changed = torch.where(mask > 0, APPEARANCE, noise)
    for steps in (0, 4):
        settings = tiny.settings(steps=steps, painted=40)
        first, same, other = (
            painted(look, settings, appearance_mask=each)
            for look, each in ((APPEARANCE, mask), (changed, mask), (changed, None))
        )
        assert torch.equal(first, same)
        assert not torch.equal(first, other)


def test_patches_take_part_from_half_white_on():
    mask = torch.rand(1, 1, 24, 36, generator=tiny.generator(1))
    found = patches_in(mask, (4, 6))
    expected = [
        row * 6 + column
        for row in range(4)
        for column in range(6)
        if mask[0, 0, 6 * row : 6 * row + 6, 6 * column : 6 * column + 6].mean() >= 0.5
    ]
    assert found.inside is not None and found.inside.tolist() == expected
    assert 0 < len(found) == len(expected) < 24
    assert len(patches_in(None, (4, 6))) == 24


def test_of_a_speck_the_whitest_patch_takes_part():
    mask = torch.zeros(1, 1, 24, 36)
    mask[..., 13, 20] = 1
    assert patches_in(mask, (4, 6)).inside.tolist() == [2 * 6 + 3]


def test_pixels_are_drawn_from_their_patch_and_from_what_is_white():
    mask = torch.zeros(1, 1, 24, 36)
    mask[..., 3:20, 7:30] = 1
    look = Appearance(torch.zeros(1, 3, 24, 36), mask)
    inside = patches_in(mask, (4, 6)).inside
    drawn = inside[torch.randint(len(inside), (500,), generator=tiny.generator(1))]
    pixels = look.pixels(drawn, (4, 6), torch.rand(2, 500, generator=tiny.generator(2)))
    for patch, pixel in zip(drawn.tolist(), pixels.tolist(), strict=True):
        row, column = divmod(pixel, 36)
        assert mask[0, 0, row, column] == 1
        assert (row // 6, column // 6) == divmod(patch, 6)
    assert len(set(pixels.tolist())) > 150


def test_colours_come_from_the_picture_that_the_patch_is_of():
    """Counted through three pictures, of one of which a single patch takes part."""
    looks = [Appearance(torch.full((1, 3, 8, 8), float(n))) for n in range(3)]
    parts = [Patches((2, 2)), Patches((2, 2), torch.tensor([3])), Patches((4, 2))]
    drawn = torch.tensor([0, 5, 4, 3, 12])
    found = colours_in(looks, parts, drawn, torch.rand(2, 5, generator=tiny.generator()))
    assert found[:, 0].tolist() == [0, 2, 1, 0, 2]


def test_what_takes_no_part_has_no_say_in_what_corresponds():
    """Nor does it stand in likeness."""
    ours, theirs = (torch.randn(n, 6, generator=tiny.generator(n)) for n in (12, 20))
    ours, theirs = (torch.nn.functional.normalize(each, dim=1) for each in (ours, theirs))
    inside = torch.tensor([0, 1, 5, 6, 7, 12])
    changed = theirs.clone()
    changed[[2, 3, 4, 8, 19]] = torch.roll(theirs, 3, 0)[[2, 3, 4, 8, 19]]
    first, same = (
        correspondence_to_all(ours, [each], (3, 4), [Patches((4, 5), inside)])
        for each in (theirs, changed)
    )
    assert first.shape == (12, 6)
    assert torch.equal(first, same)
    assert not torch.equal(
        *(correspondence(ours, each, (3, 4), (4, 5))[:, inside] for each in (theirs, changed))
    )


def test_patches_twice_as_fine_lie_in_those_that_take_part():
    half = Patches((2, 3), torch.tensor([0, 4])).halved()
    assert half.grid == (4, 6)
    marks = torch.zeros(24)
    marks[half.inside] = 1
    assert marks.view(4, 6).tolist() == [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0, 0],
    ]
    assert Patches((2, 3)).halved() == Patches((4, 6))


# Several looks.


def test_one_look_is_the_same_alone_and_as_a_list():
    assert torch.equal(painted(APPEARANCE), painted([APPEARANCE]))
    assert torch.equal(painted(APPEARANCE), painted([APPEARANCE], appearance_mask=[None]))


def test_a_look_of_weight_0_is_left_out():
    settings = tiny.settings(steps=3, look_weights=(0, 1.5))
    assert torch.equal(
        painted([OTHER, APPEARANCE], settings), painted(APPEARANCE, settings=tiny.settings(steps=3))
    )


def test_weights_say_how_readily_a_look_is_taken():
    """Doubling one moves likeness by as much for each of its patches."""
    looks = [Appearance(each[None]) for each in (APPEARANCE, OTHER)]
    heavier = [looks[0], Appearance(OTHER[None], None, 4.0)]
    meaning = Meaning(short_side=56, channels=8)
    plain, other = (
        find_semantics(tiny.frozen(), STRUCTURE[None], each, STRUCTURE[None], meaning)
        for each in (looks, heavier)
    )
    first = len(plain.patches[0])
    assert plain.likeness.shape[1] == first + len(plain.patches[1])
    moved = other.likeness - plain.likeness
    assert moved[:, :first].abs().max() < 1e-6
    torch.testing.assert_close(
        moved[:, first:], torch.full_like(moved[:, first:], 0.3 * math.log2(4))
    )


def test_the_appearance_term_is_the_weighted_mean_over_looks():
    settings = tiny.settings(look_weights=(1, 3))
    method = Transfer(STRUCTURE, [APPEARANCE, OTHER], settings, tiny.frozen()).method
    seen = method._look(torch.rand(1, 3, 56, 70, generator=tiny.generator()), 56)
    expected = 0.0
    for weight, look in ((1, APPEARANCE), (3, OTHER)):
        alone = Transfer(STRUCTURE, look, tiny.settings(), tiny.frozen()).method
        expected += weight / 4 * alone.wanted.appearance_term(seen.cls).item()
    assert method.wanted.appearance_term(seen.cls).item() == pytest.approx(expected, rel=1e-4)


def test_looks_have_channels_of_their_own_in_addresses():
    method = Transfer(STRUCTURE, [APPEARANCE, OTHER], tiny.settings(), tiny.frozen()).method
    lesson = method.ground.lesson
    codes = lesson.addresses
    channels = codes.shape[1]
    width = method.appearances[0].picture.shape[-1]
    first, second = codes[..., :width], codes[..., width:]
    assert first[:, channels // 2 :].abs().max() == 0 < first[:, : channels // 2].abs().max()
    assert second[:, : channels // 2].abs().max() == 0 < second[:, channels // 2 :].abs().max()


def test_looks_lie_side_by_side_and_count_where_there_is_one():
    maps = [torch.rand(1, 2, 4, 3), torch.rand(1, 2, 6, 5)]
    found = side_by_side(maps)
    assert found.shape == (1, 2, 6, 8)
    assert torch.equal(found[..., :4, :3], maps[0]) and torch.equal(found[..., 3:], maps[1])
    assert torch.equal(found[..., 4:, :3], maps[0][..., 3:, :].expand(-1, -1, 2, -1))
    assert bool((side_by_side(maps, border=False)[..., 4:, :3] == 0).all())


@pytest.mark.slow
@pytest.mark.network
def test_each_part_is_toned_by_the_look_that_has_it(embedded_cache, monkeypatch):  # noqa: F811
    """A photograph in red and in blue, of which masks leave the upper half or the lower."""
    monkeypatch.setenv("SPLICE_CACHE", str(embedded_cache))
    sample = small_run.ROOT / "datasets" / "samples" / "mountains" / "A" / "aitzgorri.jpg"
    photograph = read_image(sample, short_side=96)
    grey, third = photograph.mean(0), photograph.shape[1] // 3
    red, blue = (
        torch.stack([grey * c for c in colour]) for colour in ((1, 0.2, 0.1), (0.1, 0.2, 1))
    )
    upper = torch.zeros_like(grey)
    upper[: len(grey) // 2] = 1
    settings = Settings(steps=0, painted=64, meaning=Meaning(short_side=224))
    for sign, looks in ((1, [red, blue]), (-1, [blue, red])):
        masks = [upper, 1 - upper]
        transfer = Transfer(photograph, looks, settings, FrozenViT.load(), appearance_mask=masks)
        found = transfer.output()
        halves = found[:, :third], found[:, -third:]
        redness = [sign * (half[0] - half[2]).mean().item() for half in halves]
        assert redness[0] > 0.2 and redness[1] < -0.2, redness


@pytest.mark.parametrize(
    ("masks", "weights", "words"),
    [
        ([None], (), "--appearance-mask names 1 files for 2 appearance images"),
        (None, (1, 2, 3), "--look-weights has 3 numbers for 2 appearance images"),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(masks, weights, words):
    settings = tiny.settings(look_weights=weights)
    with pytest.raises(InputError, match=words):
        Transfer(STRUCTURE, [APPEARANCE, OTHER], settings, tiny.frozen(), appearance_mask=masks)
