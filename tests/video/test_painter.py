"""Frames painted one after the other."""

from itertools import pairwise

import pytest
import torch
from small_video import crops, grain
from tiny import frozen, picture, settings
from torch import Tensor

from splice.method.transfer import Transfer
from splice.video.flicker import difference
from splice.video.learning import KeyFrames
from splice.video.painter import FramePainter

APPEARANCE = picture(60, 70, seed=5)


def _transfer(frames: list[Tensor], **changes) -> Transfer:
    transfer = Transfer(
        frames[0], APPEARANCE, settings(**changes), frozen(), method=KeyFrames.of(frames)
    )
    for _ in transfer.steps():
        pass
    return transfer


@pytest.fixture(scope="module", params=[0, 6], ids=["tones", "painted"])
def learnt(request) -> Transfer:
    frames = crops(9, 64, 86)
    return _transfer([frames[0], frames[8]], steps=request.param)


def test_a_still_video_gives_still_outputs_exactly(learnt):
    frame = crops(5, 64, 86)[4]
    painter = FramePainter(learnt)
    first = painter.paint(frame)
    assert first.shape == frame.shape
    assert all(torch.equal(painter.paint(frame.clone()), first) for _ in range(6))
    assert painter.flicker.pairs == 6
    assert painter.flicker.output == painter.flicker.input == 0


def test_the_painting_of_a_moved_window_moves_along(learnt):
    frames = crops(9, 64, 86)
    painter = FramePainter(learnt)
    outputs = [painter.paint(frame)[None] for frame in frames]
    flow = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 64, 86)
    along = [float(difference(b, a, flow)) for a, b in pairwise(outputs)]
    still = [float(difference(b, a, 0 * flow)) for a, b in pairwise(outputs)]
    assert sum(along) < 0.65 * sum(still)
    assert painter.flicker.pairs == 8
    assert painter.flicker.output == pytest.approx(sum(along) / 8, rel=0.3)


def test_the_same_again_gives_the_same_frames(learnt):
    frames = crops(6, 64, 86)
    first, second = (
        [painter.paint(frame) for frame in frames]
        for painter in (FramePainter(learnt), FramePainter(learnt))
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_another_scene_owes_nothing_to_the_one_before(learnt):
    """Right after a cut, a frame is painted nearly as if it were the first."""
    before, after = grain(2)[0], 1 - grain(2)[1]
    cut, alone = FramePainter(learnt), FramePainter(learnt)
    cut.paint(before)
    apart = (cut.paint(after) - alone.paint(after)).abs().mean()
    assert apart < 0.35 * (alone.paint(before) - alone.paint(after)).abs().mean()


def test_large_frames_are_painted_small_and_delivered_large():
    frames = crops(3, 96, 120, 2, 3)
    painter = FramePainter(_transfer(frames[:1], painted=56))
    for frame in frames:
        output = painter.paint(frame)
        assert output.shape == frame.shape
        assert output.isfinite().all() and output.min() >= 0 and output.max() <= 1


@pytest.mark.slow
def test_several_looks():
    frames = crops(3, 64, 86)
    transfer = Transfer(
        frames[0],
        [APPEARANCE, picture(56, 60, seed=8)],
        settings(),
        frozen(),
        method=KeyFrames.of([frames[0], frames[2]]),
    )
    for _ in transfer.steps():
        pass
    painter = FramePainter(transfer)
    assert all(painter.paint(frame).shape == frame.shape for frame in frames)
