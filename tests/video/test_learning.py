"""One generator that learns of several key frames."""

import pytest
import torch
from small_video import crops
from tiny import frozen, picture, settings

from splice.method.transfer import Transfer
from splice.video.learning import KeyFrames

APPEARANCE = picture(60, 70, seed=5)


@pytest.mark.slow
def test_of_one_key_frame_it_is_the_default_method_to_the_bit():
    frame, vit = crops(1, 56, 70)[0], frozen()
    plain = Transfer(frame, APPEARANCE, settings(), vit)
    video = Transfer(frame, APPEARANCE, settings(), vit, method=KeyFrames.of([frame]))
    for a, b in zip(plain.steps(), video.steps(), strict=True):
        assert {k: float(v) for k, v in a.losses.items()} == {
            k: float(v) for k, v in b.losses.items()
        }
    assert torch.equal(plain.output(), video.output())


def test_key_frames_have_their_turns():
    frames, vit = crops(3, 56, 70, 2, 9), frozen()
    transfer = Transfer(frames[0], APPEARANCE, settings(), vit, method=KeyFrames.of(frames))
    method = transfer.method
    assert isinstance(method, KeyFrames)
    turns: list[tuple[int, int]] = []

    def noted(number, losses):
        def note(step, paint):
            turns.append((step, number))
            return losses(step, paint)

        return note

    for number, painting in enumerate(method.paintings):
        painting.losses = noted(number, painting.losses)
    for _ in transfer.steps():
        pass
    assert turns == [(step, step % 3) for step in range(6)]


def test_addresses_are_told_alike_in_all_key_frames():
    """A lesson's addresses are the appearance image's own, whichever frame is painted."""
    frames, vit = crops(2, 56, 70, 2, 9), frozen()
    transfer = Transfer(frames[0], APPEARANCE, settings(), vit, method=KeyFrames.of(frames))
    assert isinstance(transfer.method, KeyFrames)
    first, second = (painting.ground.lesson for painting in transfer.method.paintings)
    assert torch.equal(first.addresses, second.addresses)
