"""What is kept of the structure image, and that nothing else moves it."""

import numpy as np
import pytest
import tiny
import torch

from splice.errors import InputError
from splice.method import painting
from splice.method.appearances import Appearance
from splice.method.masks import Frame, checked_mask, composite, view_of
from splice.method.settings import PAINTING_TERMS
from splice.method.transfer import Transfer
from splice.pictures.images import to_pil

STRUCTURE, APPEARANCE = tiny.picture(80, 130, 3), tiny.picture(70, 90, 4)


def box(height: int, width: int, rows: slice, columns: slice) -> torch.Tensor:
    mask = torch.zeros(height, width)
    mask[rows, columns] = 1
    return mask


MASK = box(80, 130, slice(30, 62), slice(20, 50))
MASK[30:62, 50] = 0.5


def levels(picture: torch.Tensor) -> np.ndarray:
    """As the written PNG has them."""
    return np.asarray(to_pil(picture)).astype(int)


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((80, 130), (30, 62), (20, 50)),
        ((80, 130), (0, 3), (127, 130)),
        ((300, 400), (100, 200), (50, 250)),
        ((300, 400), (299, 300), (0, 400)),
        ((40, 50), (10, 12), (10, 12)),
    ],
)
def test_what_takes_part_is_seen_with_surroundings(size, rows, columns):
    mask = box(*size, slice(*rows), slice(*columns))
    view = view_of(torch.zeros(1, 3, *size), mask[None, None])
    around = 0.25 * max(rows[1] - rows[0], columns[1] - columns[0])
    ends = view.top + view.height, view.left + view.width
    for start, end, (first, last), side in zip(
        (view.top, view.left), ends, (rows, columns), size, strict=True
    ):
        assert start >= 0 and end <= side
        assert start <= max(0, first - around + 1) and end >= min(side, last + around - 1)
        assert end - start >= min(64, side)


def test_a_composite_is_the_photograph_where_the_mask_is_black():
    mask, photograph = MASK[None, None], STRUCTURE[None]
    painted = torch.rand(1, 3, 80, 130, generator=tiny.generator())
    found = composite(painted, photograph, mask)
    expected = painted.double() * mask + photograph.double() * (1 - mask)
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)
    kept = (mask == 0).expand_as(found)
    assert torch.equal(found[kept], photograph[kept])
    assert composite(painted, photograph, None) is painted


def test_a_frame_holds_what_was_painted_at_any_size():
    frame = Frame.around(STRUCTURE[None], MASK[None, None])
    assert frame.seen.shape[-2:] == (64, 65) and frame.seen_mask is not None
    found = frame.filled(torch.ones(1, 3, 32, 32))
    whole = composite(torch.ones(1, 3, 80, 130), STRUCTURE[None], MASK[None, None])
    torch.testing.assert_close(found, whole)


@pytest.mark.parametrize("of", ["structure", "appearance"])
def test_a_mask_that_is_white_all_over_is_none(of):
    settings = tiny.settings(painted=32, steps=3)
    pair = STRUCTURE, APPEARANCE
    white = torch.ones(pair[of == "appearance"].shape[1:])
    plain = Transfer(*pair, settings, tiny.frozen())
    masked = Transfer(*pair, settings, tiny.frozen(), **{f"{of}_mask": white})
    list(plain.steps()), list(masked.steps())
    assert torch.equal(plain.output(), masked.output())


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 3])
def test_what_is_outside_keeps_its_bytes_and_what_is_inside_does_not(steps):
    """At the delivered size, of which the painting is a quarter; tones alone as well."""
    settings = tiny.settings(painted=32, steps=steps)
    transfer = Transfer(STRUCTURE, APPEARANCE, settings, tiny.frozen(), structure_mask=MASK)
    list(transfer.steps())
    for picture in (transfer.output(), transfer.picture()):
        assert picture.shape == STRUCTURE.shape
        before, after = levels(STRUCTURE), levels(picture)
        outside, inside = MASK.numpy() == 0, MASK.numpy() == 1
        assert (before[outside] == after[outside]).all()
        assert np.abs(before[inside] - after[inside]).mean() > 8


def test_no_term_of_the_method_moves_what_is_kept(monkeypatch):
    monkeypatch.setattr(painting, "SHARES", (1.0, 1.0))
    settings = tiny.settings(steps=6)
    transfer = Transfer(STRUCTURE, APPEARANCE, settings, tiny.frozen(), structure_mask=MASK)
    method = transfer.method
    assert method.mask is not None
    painted = torch.rand_like(method.structure).requires_grad_()
    for name in set(PAINTING_TERMS) - {"identity"}:

        def paint(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
            # All but the noise, which is drawn anew.
            own = torch.equal(inputs[0][:, :-6], method.ground.inputs[:, :-6])
            return [painted if own else torch.zeros(1, 3, *inputs[0].shape[-2:])]

        (gradient,) = torch.autograd.grad(method.losses(5, paint)[name], painted)
        inside = gradient * (method.mask == 1)
        assert gradient[(method.mask == 0).expand_as(gradient)].abs().max() == 0, name
        assert inside.abs().max() > 0, name


def test_the_look_of_a_small_part_is_wanted_as_much_as_there_is_of_it():
    """[CLS] tokens lie between those of both pictures, by the share that is painted."""
    settings = tiny.settings()
    masked = Transfer(STRUCTURE, APPEARANCE, settings, tiny.frozen(), structure_mask=MASK)
    method = masked.method
    plain = Transfer(masked.large[0], APPEARANCE, settings, tiny.frozen()).method
    share = method.mask.mean()
    assert 0.1 < share < 0.5
    for block, token in method.wanted.cls.items():
        own = plain._look(plain.structure, 56).cls[block]
        expected = own + share * (plain.wanted.cls[block] - own)
        torch.testing.assert_close(token, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.zeros(80, 130), "1 where it does"),
        (torch.ones(130, 80), "80 x 130 pixels; give it the 130 x 80"),
        (2 * torch.ones(80, 130), "1 where it does"),
        (torch.full((80, 130), torch.nan), "1 where it does"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask, words):
    with pytest.raises(InputError, match=f"structure mask.*{words}"):
        checked_mask(mask, STRUCTURE, "structure")
    with pytest.raises(InputError, match="structure mask"):
        Transfer(STRUCTURE, APPEARANCE, tiny.settings(), tiny.frozen(), structure_mask=mask)


def test_the_published_method_takes_no_masks():
    for masks in ({"structure_mask": MASK}, {"appearance_mask": torch.ones(70, 90)}):
        with pytest.raises(InputError, match="published method takes no masks"):
            Transfer(STRUCTURE, APPEARANCE, tiny.paper(), tiny.frozen(), **masks)
    with pytest.raises(InputError, match="one appearance image"):
        Transfer(STRUCTURE, [APPEARANCE] * 2, tiny.paper(), tiny.frozen())


def test_what_is_left_of_an_appearance_image_is_filled_with_its_mean():
    mask = torch.zeros(1, 1, 70, 90)
    mask[..., 10:60, 5:80] = 1
    picture = APPEARANCE[None]
    found = Appearance.part_of(picture, mask)
    assert found.mask is not None and found.picture.shape[-2:] == found.mask.shape[-2:]
    mean = picture[..., 10:60, 5:80].double().mean((2, 3))[0]
    outside = (found.mask == 0)[0, 0]
    colours = found.picture[0][:, outside].double()
    torch.testing.assert_close(colours, mean[:, None].expand_as(colours), atol=1e-5, rtol=0)
    inside = found.picture[0][:, ~outside]
    assert torch.equal(inside, picture[0, :, 10:60, 5:80].flatten(1))
