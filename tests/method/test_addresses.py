"""Addresses: codes of the appearance image, lent by likeness."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from lending import lent_in_a_loop

from splice.method import addresses
from splice.method.addresses import find_addresses
from splice.method.appearances import Appearance, Patches
from splice.method.correspondence import correspondence
from splice.method.semantics import Semantics

STRUCTURE, APPEARANCE = tiny.picture(24, 32, 1)[None], tiny.picture(32, 24, 2)[None]


def pair() -> tuple[Semantics, list[torch.Tensor]]:
    """Tokens of a pair's patches, and others twice as fine."""
    tokens = [torch.randn(n, 9, generator=tiny.generator(n + k)) for n in (12, 48) for k in (1, 2)]
    tokens = [F.normalize(each - each.mean(0), dim=1) for each in tokens]
    likeness = correspondence(tokens[0], tokens[1], (3, 4), (4, 3))
    codes = torch.zeros(1, 4, 24, 32)
    found = Semantics(codes, likeness, (3, 4), (Patches((4, 3)),), (tokens[0], tokens[1]))
    return found, tokens[2:]


@pytest.fixture
def plain(monkeypatch) -> None:
    tiny.leave_edges(monkeypatch, addresses)


@pytest.mark.usefixtures("plain")
def test_an_address_is_the_mean_code_of_what_means_the_same():
    """Codes by a singular value decomposition, up to their signs; means one by one."""
    found, fine = pair()
    ours, (theirs,) = find_addresses(STRUCTURE, [Appearance(APPEARANCE)], found, fine)
    centred = fine[1] - fine[1].mean(0)
    left, _, _ = np.linalg.svd(centred.double().numpy(), full_matrices=False)
    codes = torch.from_numpy(left * 48**0.5)
    own = correspondence(found.tokens[1], found.tokens[1], (4, 3), (4, 3))
    sets = ((ours, found.likeness, 0, (3, 4), (24, 32)), (theirs, own, 1, (4, 3), (32, 24)))
    signs = None
    for address, likeness, who, grid, size in sets:
        assert address.shape == (1, 9, *size)
        tokens, near = (found.tokens[who], found.tokens[1]), (fine[who], fine[1])
        lent = lent_in_a_loop(likeness, grid, [(4, 3)], tokens, near, codes, 0.02)
        coarse = lent.T.reshape(1, -1, 2 * grid[0], 2 * grid[1])
        expected = F.interpolate(coarse, size=size, mode="bilinear")[0]
        dots = (expected * address[0]).sum((1, 2)).sign()
        signs = dots if signs is None else signs
        assert torch.equal(signs, dots), "both pictures have the same axes"
        torch.testing.assert_close(
            signs[:, None, None] * address[0].double(), expected, atol=5e-3, rtol=0
        )


def test_addresses_have_their_picture_s_edges():
    image = torch.cat([torch.zeros(1, 3, 24, 13), torch.ones(1, 3, 24, 19)], -1)
    look = [Appearance(APPEARANCE)]
    edges = [
        (x[..., 13] - x[..., 12]).abs().mean()
        for x, _ in (find_addresses(each, look, *pair()) for each in (STRUCTURE, image))
    ]
    assert edges[1] > 2 * edges[0]
