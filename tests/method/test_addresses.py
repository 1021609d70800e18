"""Addresses: codes of the appearance image, lent by likeness."""

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F

from splice.method import addresses
from splice.method.addresses import find_addresses
from splice.method.appearances import Appearance, Patches
from splice.method.correspondence import correspondence
from splice.method.semantics import Semantics

STRUCTURE, APPEARANCE = tiny.picture(24, 32, 1)[None], tiny.picture(32, 24, 2)[None]


def pair() -> Semantics:
    """Tokens of mean 0, as the semantics of pictures have them."""
    tokens = [torch.randn(12, 9, generator=tiny.generator(seed)) for seed in (1, 2)]
    tokens = [F.normalize(each - each.mean(0), dim=1) for each in tokens]
    likeness = correspondence(*tokens, (3, 4), (4, 3))
    codes = torch.zeros(1, 4, 24, 32)
    return Semantics(codes, likeness, (3, 4), (Patches((4, 3)),), (tokens[0], tokens[1]))


@pytest.fixture
def plain(monkeypatch) -> None:
    tiny.leave_edges(monkeypatch, addresses)


@pytest.mark.usefixtures("plain")
def test_an_address_is_the_mean_code_of_what_means_the_same():
    """Codes by a singular value decomposition, up to their signs; means one by one."""
    found = pair()
    ours, (theirs,) = find_addresses(STRUCTURE, [Appearance(APPEARANCE)], found)
    tokens = found.tokens[1].double().numpy()
    left, _, _ = np.linalg.svd(tokens, full_matrices=False)
    own = correspondence(found.tokens[1], found.tokens[1], (4, 3), (4, 3))
    sets = ((ours, found.likeness, (3, 4), (24, 32)), (theirs, own, (4, 3), (32, 24)))
    signs = None
    for address, likeness, grid, size in sets:
        assert address.shape == (1, 9, *size)
        shares = np.exp(likeness.double().numpy() / 0.02)
        codes = (shares / shares.sum(1, keepdims=True)) @ (left * 12**0.5)
        coarse = torch.from_numpy(codes).T.reshape(1, -1, *grid)
        expected = F.interpolate(coarse, size=size, mode="bilinear")[0]
        # The axis of a variance of nothing, there being one less than tokens, can be any.
        expected, address = expected[:7], address[0, :7].double()
        dots = (expected * address).sum((1, 2)).sign()
        signs = dots if signs is None else signs
        assert torch.equal(signs, dots), "both pictures have the same axes"
        torch.testing.assert_close(signs[:, None, None] * address, expected, atol=5e-3, rtol=0)


def test_addresses_have_their_picture_s_edges():
    image = torch.cat([torch.zeros(1, 3, 24, 13), torch.ones(1, 3, 24, 19)], -1)
    look = [Appearance(APPEARANCE)]
    edges = [
        (x[..., 13] - x[..., 12]).abs().mean()
        for x, _ in (find_addresses(each, look, pair()) for each in (STRUCTURE, image))
    ]
    assert edges[1] > 2 * edges[0]
