"""Tokens between the patches, against single views and loops over patches in float64."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from lending import larger, lent_in_a_loop
from torch import Tensor

from splice.method import correspondence, fine_tokens
from splice.method.appearances import Appearance, Patches
from splice.method.fine_tokens import Tokens, around, find_fine_tokens, finely_lent
from splice.method.settings import Meaning

STRUCTURE, APPEARANCE = tiny.picture(56, 70, 1), tiny.picture(42, 56, 2)


def test_a_fine_token_is_that_of_a_view_moved_by_a_quarter_of_a_patch():
    """Each of four views, and each in the mirror, by itself."""
    vit = tiny.frozen()
    meaning = Meaning(short_side=56, depths=(1.0,))
    look = Appearance(APPEARANCE[None])
    ours, _ = find_fine_tokens(vit, STRUCTURE[None], [look], meaning)
    padded = F.pad(STRUCTURE[None], (3, 4, 3, 4), mode="replicate")
    found = torch.zeros(8, 10, vit.width)
    for row in range(2):
        for column in range(2):
            view = padded[..., 7 * row : 7 * row + 56, 7 * column : 7 * column + 70]
            seen, mirrored = (
                vit(each, tokens=[vit.blocks], short_side=None).tokens[vit.blocks].view(4, 5, -1)
                for each in (view, view.flip(-1))
            )
            found[row::2, column::2] = (seen + mirrored.flip(1)) / 2
    found = found.flatten(0, 1)
    expected = F.normalize(found - found.mean(0), dim=1)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def unit(count: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(count, 6, generator=tiny.generator(seed)), dim=1)


@pytest.mark.parametrize("strip", [1024, 5])
def test_codes_are_lent_as_in_a_loop(monkeypatch, strip):
    """Two pictures lend; likeness is enlarged by bilinear interpolation, once for each side."""
    monkeypatch.setattr(fine_tokens, "STRIP", strip)
    grid, others = (2, 3), ((3, 2), (1, 4))
    ours = Tokens((Patches(grid),), unit(6, 1), unit(24, 2))
    theirs = Tokens(tuple(map(Patches, others)), unit(10, 3), unit(40, 4))
    likeness = torch.randn(6, 10, generator=tiny.generator(5)).double()
    codes = torch.randn(40, 3, generator=tiny.generator(6)).double()
    tokens, near = (ours.coarse, theirs.coarse), (ours.fine, theirs.fine)
    expected = lent_in_a_loop(likeness, grid, others, tokens, near, codes, 0.3)
    found = finely_lent(likeness.float(), ours, theirs, codes.float(), 0.3)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-4)


def test_what_a_patch_says_of_itself_is_said_by_the_fine_ones_alone(monkeypatch):
    """With a given say of neighbours, coarse tokens leave no trace in what is lent."""
    said = torch.randn(6, 12, generator=tiny.generator(7))
    for name, value in {"UPRIGHT": 0.0, "CROWDED": 0.0, "consensus": lambda *_: said}.items():
        monkeypatch.setattr(correspondence, name, value)
    grid, other, spread = (2, 3), (3, 4), correspondence.SPREAD
    ours = Tokens((Patches(grid),), unit(6, 1), unit(24, 2))
    theirs = Tokens((Patches(other),), unit(12, 3), unit(48, 4))
    codes = torch.randn(48, 3, generator=tiny.generator(6)).double()
    likeness = correspondence.correspondence(ours.coarse, theirs.coarse, grid, other)
    found = finely_lent(likeness, ours, theirs, codes.float(), 0.3)

    neighbours = ((said - said.mean()) / said.std()).double() / spread
    scores = larger(larger(neighbours, grid).T, other).T
    alone = (ours.coarse @ theirs.coarse.T).double()
    fine = (ours.fine @ theirs.fine.T).double() - alone.mean()
    scores = scores + correspondence.ITSELF / spread * fine / alone.std()
    expected = torch.softmax(scores / 0.3, 1) @ codes
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)


def test_what_takes_no_part_has_no_share():
    """Fine patches inside a mask lie among patches inside it alone."""
    patches = Patches((3, 4), torch.tensor([1, 2, 6, 9]))
    places, shares = around(patches)
    assert places.shape == shares.shape == (16, 4)
    torch.testing.assert_close(shares.sum(1), torch.ones(16))
    assert int(places.min()) >= 0
    assert int(places.max()) < 4
    # The patch 9 has neighbours inside only above to the right, which it touches at a corner.
    fine = patches.halved().inside
    assert fine is not None
    own = (fine // 8 // 2 * 4 + fine % 8 // 2) == 9
    weight = torch.zeros(16, 4).scatter_add(1, places, shares)[own]
    np.testing.assert_allclose(weight[[0, 2, 3], 3], 1)
    np.testing.assert_allclose(weight[1], [0, 0, 1 / 10, 9 / 10], atol=1e-6)


def test_tokens_of_a_part_are_those_that_take_part():
    patches = [Patches((1, 2), torch.tensor([1])), Patches((1, 1))]
    coarse = [torch.arange(2.0)[:, None], torch.tensor([[9.0]])]
    fine = [torch.arange(8.0)[:, None], torch.arange(90.0, 94)[:, None]]
    found = Tokens.of(patches, coarse, fine)
    assert found.coarse[:, 0].tolist() == [1, 9]
    assert found.fine[:, 0].tolist() == [2, 3, 6, 7, 90, 91, 92, 93]
