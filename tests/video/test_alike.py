"""What is found for patches of key frames, by agreement."""

import math

import torch
import torch.nn.functional as F
from tiny import SIDE, frozen, generator, settings

from splice.method.transfer import Transfer
from splice.video.alike import ALIKE, TEMPERATURE, UNLIKE, Sights, agreed
from splice.video.learning import KeyFrames


def _units(count: int, seed: int) -> torch.Tensor:
    # Few axes: many patches are somewhat alike.
    return F.normalize(torch.randn(count, 3, generator=generator(seed)), dim=1)


def test_it_is_the_mean_of_a_loop():
    found = [torch.randn(n, 2, generator=generator(n)) for n in (4, 5, 6)]
    tokens = [_units(n, n + 10) for n in (4, 5, 6)]
    results = agreed(found, tokens)
    for frame in range(3):
        for i in range(len(found[frame])):
            total, weight = float(found[frame][i, 1]), 1.0
            for other in range(3):
                if other == frame:
                    continue
                cosines = [float(tokens[frame][i] @ each) for each in tokens[other]]
                say = min(1.0, max(0.0, (max(cosines) - UNLIKE) / (ALIKE - UNLIKE)))
                shares = [math.exp(cosine / TEMPERATURE) for cosine in cosines]
                values = zip(shares, found[other][:, 1].tolist(), strict=True)
                total += say * sum(share * value for share, value in values) / sum(shares)
                weight += say
            assert abs(float(results[frame][i, 1]) - total / weight) < 1e-4


def test_equal_frames_agree_at_once_and_strangers_not_at_all():
    axes = torch.eye(6)
    found = [torch.randn(3, 2, generator=generator(n)) for n in range(2)]
    same = agreed(found, [axes[:3], axes[:3]])
    assert torch.allclose(same[0], (found[0] + found[1]) / 2, atol=1e-5)
    assert torch.allclose(same[0], same[1], atol=1e-5)
    strangers = agreed(found, [axes[:3], axes[3:]])
    assert all(torch.equal(a, b) for a, b in zip(strangers, found, strict=True))


def test_products_of_tokens_are_cosines():
    frames = [torch.rand(1, 3, SIDE, SIDE, generator=generator(n)) for n in range(2)]
    sights = Sights(frozen(), (0.5, 1.0), SIDE, frames)
    assert sights.grids == [(4, 4), (4, 4)]
    for tokens in sights.tokens:
        assert torch.allclose(tokens.norm(dim=1), torch.ones(16), atol=1e-5)
    again, grid = sights.of(frames[1])
    assert grid == (4, 4) and torch.allclose(again, sights.tokens[1], atol=1e-5)


def test_key_frames_that_are_equal_have_one_likeness():
    """And it is that of a picture alone."""
    frame = torch.rand(3, 56, 70, generator=generator(3))
    other, vit = torch.rand(3, 60, 70, generator=generator(4)), frozen()
    alone = Transfer(frame, other, settings(), vit).method
    transfer = Transfer(frame, other, settings(), vit, method=KeyFrames.of([frame, frame]))
    assert isinstance(transfer.method, KeyFrames)
    first, second = (painting.semantics.likeness for painting in transfer.method.paintings)
    assert torch.allclose(first, second, atol=1e-5)
    assert (first - alone.semantics.likeness).abs().mean() < 0.2
