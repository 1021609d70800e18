"""Patches that are sought and laid over each other, against loops and where the answer is known."""

import numpy as np
import pytest
import tiny
import torch

from splice.patch_field import Anchor, Guide, PatchSearch, both_ways, enlarged, voted


def free(size: tuple[int, int]) -> Anchor:
    """An anchor that holds nothing."""
    return Anchor(torch.zeros(3, *size, dtype=torch.long), torch.zeros(1, 1, *size), 1.0)


def random_field(size: tuple[int, int], sides: tuple[int, int], seed: int) -> torch.Tensor:
    random = tiny.generator(seed)
    parts = [torch.randint(0, most, size, generator=random) for most in (2, *sides)]
    return torch.stack(parts)


def test_votes_are_those_of_a_loop():
    size, sides = (7, 9), (8, 6)
    maps = torch.rand(2, 3, *sides, generator=tiny.generator(1))
    field = random_field(size, sides, 2)
    costs = torch.rand(size, generator=tiny.generator(3)) / 100
    found = voted(maps, field, costs, 0.8)[0].double().numpy()
    equal = voted(maps, field, None, 0.8)[0].double().numpy()
    for row, column in np.ndindex(*size):
        sums = np.zeros((2, 4))
        for top, left in np.ndindex(*size):
            down, right = row - top, column - left
            if max(abs(down), abs(right)) > 2:
                continue
            page, there, beside = field[:, top, left].tolist()
            there, beside = np.clip(there + down, 0, 7), np.clip(beside + right, 0, 5)
            shown = np.append(maps[page, :, there, beside].double().numpy(), 1)
            near = np.exp(-(down**2 + right**2) / (2 * 0.8**2))
            sums[0] += near / (costs[top, left].item() + 1e-3) * shown
            sums[1] += near * shown
        np.testing.assert_allclose(found[:, row, column], sums[0, :3] / sums[0, 3], atol=1e-5)
        np.testing.assert_allclose(equal[:, row, column], sums[1, :3] / sums[1, 3], atol=1e-5)


def test_costs_are_those_of_a_loop():
    size, sides = (9, 11), (12, 10)
    random = tiny.generator(4)
    image, picture = tiny.picture(*sides, 1)[None], tiny.picture(*size, 2)[None]
    theirs, wanted = (torch.randn(1, 2, *each, generator=random) for each in (sides, size))
    weight = torch.rand(1, 1, *size, generator=random)
    anchor = Anchor(random_field(size, sides, 5), torch.rand(1, 1, *size, generator=random), 4.0)
    guides = (
        Guide(theirs, wanted, weight, 1.5),
        Guide(theirs[:, :1], wanted[:, 1:], weight[..., :1, :1]),
    )
    search = PatchSearch(image, size, guides, anchor)
    field, costs = search.improved(picture, random_field(size, sides, 6), tiny.generator(7))
    pages = both_ways(image).double().numpy()
    codes = both_ways(theirs).double().numpy()
    own = picture[0].double().numpy()
    for row, column in np.ndindex(*size):
        page, there, beside = field[:, row, column].tolist()
        assert min(2, row) <= there <= 11 - min(2, 8 - row)
        assert min(2, column) <= beside <= 9 - min(2, 10 - column)
        shown = (
            np.clip(np.arange(there - 2, there + 3), 0, 11),
            np.clip(np.arange(beside - 2, beside + 3), 0, 9),
        )
        patch = pages[page][:, shown[0]][:, :, shown[1]]
        at = (
            np.clip(np.arange(row - 2, row + 3), 0, 8),
            np.clip(np.arange(column - 2, column + 3), 0, 10),
        )
        expected = ((own[:, at[0]][:, :, at[1]] - patch) ** 2).mean()
        unlike = codes[page][:, there, beside] - wanted[0, :, row, column].double().numpy()
        expected += weight[0, 0, row, column].item() * min((unlike**2).mean(), 1.5)
        last = codes[page][0, there, beside] - wanted[0, 1, row, column].item()
        expected += weight[0, 0, 0, 0].item() * last**2
        home = anchor.field[:, row, column].tolist()
        away = min(((there - home[1]) ** 2 + (beside - home[2]) ** 2) / 16, 1)
        expected += anchor.weight[0, 0, row, column].item() * (away if page == home[0] else 1)
        assert costs[row, column].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_is_cut_from_a_picture_is_found_there(mirrored):
    image = torch.rand(1, 3, 10, 12, generator=tiny.generator(9))
    image = torch.nn.functional.interpolate(image, size=(40, 48), mode="bilinear")
    picture = both_ways(image)[int(mirrored)][None, :, 6:30, 10:40]
    search = PatchSearch(image, (24, 30), (), free((24, 30)))
    field, random = random_field((24, 30), (40, 48), 10), tiny.generator(11)
    before = None
    for _ in range(15):
        field, costs = search.improved(picture, field, random)
        assert before is None or (costs <= before + 1e-6).all(), "nothing gets worse"
        before = costs
    inner = field[:, 2:-2, 2:-2]
    row, column = torch.meshgrid(torch.arange(8, 28), torch.arange(12, 38), indexing="ij")
    right = (inner == torch.stack([torch.full_like(row, int(mirrored)), row, column])).all(0)
    assert right.float().mean() > 0.99
    painted = voted(both_ways(image), field, costs, 1.0)
    assert (painted - picture)[..., 4:-4, 4:-4].abs().mean() < 0.01


def test_an_anchor_holds_what_looks_the_same():
    """All of a grey picture looks the same, and so patches stay where they are anchored."""
    image = torch.full((1, 3, 30, 30), 0.5)
    home = torch.stack(
        [
            torch.zeros(20, 20, dtype=torch.long),
            *torch.meshgrid(torch.arange(5, 25), torch.arange(5, 25), indexing="ij"),
        ]
    )
    search = PatchSearch(image, (20, 20), (), Anchor(home, torch.full((1, 1, 20, 20), 0.01), 3.0))
    field = random_field((20, 20), (30, 30), 12)
    for _ in range(12):
        field, _ = search.improved(image[..., :20, :20], field, tiny.generator(13))
    assert ((field - home).abs().amax(0) <= 1).float().mean() > 0.9


def test_a_field_grows_with_the_picture():
    field = random_field((4, 6), (10, 8), 14)
    found = enlarged(field, (10, 8), (8, 12), (20, 16))
    for row, column in np.ndindex(8, 12):
        page, there, beside = field[:, row // 2, column // 2].tolist()
        assert found[:, row, column].tolist() == [
            page,
            2 * there + row % 2,
            2 * beside + column % 2,
        ]
