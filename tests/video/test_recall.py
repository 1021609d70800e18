"""What a frame has from the key frames."""

import math

import torch
from small_video import crops
from tiny import SIDE, frozen

from splice.video.alike import Sights
from splice.video.recall import TEMPERATURE, Memory

DEPTHS = (0.5, 1.0)


def _memory(frames, found):
    return Memory(Sights(frozen(), DEPTHS, SIDE, [frame[None] for frame in frames]), found)


def test_it_is_the_mean_by_likeness_of_a_loop():
    frames = crops(3, SIDE, SIDE, 3, 8)
    found = [torch.randn(1, 2, SIDE, SIDE) for _ in range(2)]
    recalled = _memory(frames[:2], found).recall(frames[2][None])
    vit = frozen()
    seen = [vit(frame[None], tokens=[2, 4], short_side=SIDE) for frame in frames]
    tokens = {block: [s.tokens[block][0].double() for s in seen] for block in (2, 4)}
    means = {block: torch.cat(each[:2]).mean(0) for block, each in tokens.items()}

    def cosine(i: int, owner: int, j: int) -> float:
        total = 0.0
        for block in (2, 4):
            a, b = tokens[block][2][i] - means[block], tokens[block][owner][j] - means[block]
            total += float(a @ b / (a.norm() * b.norm()))
        return total / 2

    shares = [0.0, 0.0]
    for i in range(16):
        weights = {
            (owner, j): math.exp(cosine(i, owner, j) / TEMPERATURE)
            for owner in (0, 1)
            for j in range(16)
        }
        total = sum(weights.values())
        value = 0.0
        for (owner, j), weight in weights.items():
            patch = found[owner][0, 1, j // 4 * 14 : j // 4 * 14 + 14, j % 4 * 14 : j % 4 * 14 + 14]
            value += weight / total * float(patch.mean())
            shares[owner] += weight / total / 16
        assert abs(float(recalled.values[0, 1, i // 4, i % 4]) - value) < 1e-4
    assert torch.allclose(recalled.shares, torch.tensor(shares), atol=1e-4)


def test_a_key_frame_recalls_itself():
    torch.manual_seed(0)
    frames = [torch.rand(3, SIDE, SIDE) for _ in range(2)]
    found = [torch.full((1, 1, SIDE, SIDE), float(number)) for number in range(2)]
    memory = _memory(frames, found)
    for number, frame in enumerate(frames):
        recalled = memory.recall(frame[None])
        assert (recalled.values - number).abs().max() < 0.1
        assert recalled.shares[number] > 0.9
        assert abs(float(recalled.shares.sum()) - 1) < 1e-5
