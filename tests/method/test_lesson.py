"""What the generator is shown of the appearance image."""

import pytest
import tiny
import torch
import torch.nn.functional as F

from splice.method import lesson
from splice.method.lesson import Lesson

PICTURE = tiny.picture(30, 40, 1)[None]
ADDRESSES = torch.randn(1, 4, 30, 40, generator=tiny.generator(2))
COLOURS = torch.randn(1, 3, 30, 40, generator=tiny.generator(5))
DETAIL = torch.randn(1, 2, 30, 40, generator=tiny.generator(3))
FOREIGN = 50 + torch.randn(1, 2, 20, 25, generator=tiny.generator(4))


def make() -> Lesson:
    return Lesson(PICTURE, ADDRESSES, DETAIL, COLOURS, FOREIGN)


def without_grains(given: torch.Tensor) -> torch.Tensor:
    return torch.cat([given[:, :6], given[:, -3:]], 1)


def test_small_pictures_are_shown_whole_at_some_size_perhaps_mirrored(monkeypatch):
    monkeypatch.setattr(lesson, "NOISE", 0.0)
    monkeypatch.setattr(lesson, "FOREIGN", 0.0)
    random, turned, heights = tiny.generator(), set(), set()
    told = torch.cat([ADDRESSES, DETAIL, COLOURS], 1)
    for _ in range(40):
        given, wanted, counts = make().draw(random)
        assert counts is None
        found = torch.cat([without_grains(given), wanted], 1)
        height, width = found.shape[-2:]
        assert 21 <= height <= 39 and abs(width / height - 4 / 3) < 0.08
        sizes = {"size": (height, width), "mode": "bilinear"}
        shown = F.interpolate(PICTURE, **sizes, antialias=True)
        whole = torch.cat([F.interpolate(told, **sizes), shown], 1)
        plain, mirror = ((found - x).abs().max().item() for x in (whole, whole.flip(-1)))
        assert min(plain, mirror) < 2e-5 < max(plain, mirror)
        turned.add(plain < mirror)
        heights.add(height)
    assert turned == {False, True}
    assert len(heights) > 10


def test_large_pictures_are_shown_in_pieces_of_one_scale(monkeypatch):
    """Where rows and columns are counted, a piece tells where it lies and how large it is shown."""
    monkeypatch.setattr(lesson, "NOISE", 0.0)
    monkeypatch.setattr(lesson, "FOREIGN", 0.0)
    monkeypatch.setattr(lesson, "PIECE", 20)
    rows = torch.arange(60.0).view(1, 1, -1, 1).expand(1, 1, 60, 90)
    columns = torch.arange(90.0).view(1, 1, 1, -1).expand(1, 1, 60, 90)
    picture = torch.cat([rows, columns, columns], 1)
    nothing = (torch.zeros(1, channels, 60, 90) for channels in (4, 2, 3))
    shown = Lesson(picture, *nothing, FOREIGN)
    random, tops, lefts = tiny.generator(), [], []
    for _ in range(60):
        _, piece, _ = shown.draw(random)
        height, width = piece.shape[-2:]
        assert abs(height - 20) <= 1 and abs(width - 28) <= 1
        # Away from the borders, where the filter that shrinks has nothing to take from.
        across = (piece[0, 1, 5, -5] - piece[0, 1, 5, 4]).abs().item() / (width - 9)
        down = (piece[0, 0, -5, 5] - piece[0, 0, 4, 5]).item() / (height - 9)
        assert 1 / 1.35 < across < 1 / 0.65 and abs(across / down - 1) < 0.15
        tops.append(piece[0, 0, 0, 0].item())
        lefts.append(piece[0, 1].min().item())
    assert min(tops) < 6 and max(tops) > 25
    assert min(lefts) < 8 and max(lefts) > 40


def test_pieces_hold_what_counts_wherever_it_lies(monkeypatch):
    monkeypatch.setattr(lesson, "PIECE", 20)
    counts = torch.zeros(1, 1, 60, 90)
    counts[..., :3, :4], counts[..., 40:46, 70:80] = 1, 1
    nothing = [torch.zeros(1, channels, 60, 90) for channels in (3, 4, 2, 3)]
    shown = Lesson(*nothing, FOREIGN, counts)
    random, corners = tiny.generator(), 0
    for _ in range(60):
        _, piece, counted = shown.draw(random)
        assert counted.shape[-2:] == piece.shape[-2:]
        assert counted.sum() > 0
        loss = lesson.lesson_term(torch.ones_like(piece), piece, counted)
        assert loss.item() == pytest.approx(1, abs=1e-5)
        corners += bool(counted.flip(-1)[..., :2, :2].sum() or counted[..., :2, :2].sum())
    # The corner has 12 of the 72 pixels.
    assert 2 <= corners <= 25


def test_noise_is_added_to_all_but_the_colours_to_start_from(monkeypatch):
    monkeypatch.setattr(lesson, "FOREIGN", 0.0)
    monkeypatch.setattr(lesson, "SIZES", (1.0, 1.0))
    monkeypatch.setattr(lesson, "NOISE", 0.5)
    given, wanted, _ = make().draw(tiny.generator())
    plain = torch.cat([ADDRESSES, DETAIL, COLOURS], 1)
    mirrored = bool((wanted - PICTURE).abs().max() > 1e-5)
    noise = without_grains(given) - (plain.flip(-1) if mirrored else plain)
    assert noise[:, -3:].abs().max() < 1e-5
    noise = noise[:, :-3]
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    torch.testing.assert_close(wanted, PICTURE.flip(-1) if mirrored else PICTURE)


def test_foreign_detail_is_added_to_the_own_with_some_strength(monkeypatch):
    """The structure image's lies around 50 here, the own around 0."""
    monkeypatch.setattr(lesson, "NOISE", 0.0)
    random, means = tiny.generator(), []
    for _ in range(200):
        given, _, _ = make().draw(random)
        assert given[:, :4].abs().max() < 6
        means.append(given[:, 4:6].mean().item())
    foreign = [mean for mean in means if mean > 1]
    assert 70 < len(foreign) < 130
    most = lesson.FOREIGN * 50
    assert max(foreign) < 1.02 * most
    assert sum(foreign) / len(foreign) == pytest.approx(most / 2, abs=3)


def test_grains_are_others_each_time_and_tell_nothing():
    random = tiny.generator()
    first, second = (make().draw(random)[0][:, 6:-3] for _ in range(2))
    assert first.shape[1] == 3
    for grains in (first, second):
        assert (grains.std((2, 3)) - 1).abs().max() < 0.35
    rows, columns = (min(a, b) for a, b in zip(first.shape[-2:], second.shape[-2:], strict=True))
    pair = torch.stack([each[0, 0, :rows, :columns].flatten() for each in (first, second)])
    assert abs(torch.corrcoef(pair)[0, 1].item()) < 0.2


def test_the_same_state_draws_the_same():
    first, same, other = (make().draw(tiny.generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first[:2], same[:2], strict=True))
    assert not (first[0].shape == other[0].shape and torch.equal(first[0], other[0]))
