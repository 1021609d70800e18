"""Which frames are key frames."""

from itertools import combinations

import torch
from small_video import grain

from splice.video.key_frames import ALIKE, THUMBNAIL, choose_key_frames, thumbnail


def _grey(values):
    return [torch.full((3, 2, 2), value) for value in values]


def _far(thumbnails, chosen) -> float:
    """How far the farthest frame is from its nearest key frame, by loops."""
    return max(
        min(float((each - thumbnails[key]).abs().mean()) for key in chosen) for each in thumbnails
    )


def test_a_still_video_has_one():
    assert len(choose_key_frames(_grey([0.3] * 9), 4)) == 1


def test_every_scene_has_one_and_they_are_in_order():
    scenes = [0.9] * 5 + [0.1] * 2 + [0.5] * 20
    chosen = choose_key_frames(_grey(scenes), 3)
    assert chosen == sorted(chosen)
    assert {scenes[number] for number in chosen} == {0.1, 0.5, 0.9}


def test_a_slow_change_is_covered_evenly():
    chosen = choose_key_frames(_grey([i / 60 for i in range(61)]), 4)
    assert chosen == [0, 15, 30, 60] or chosen == [0, 30, 45, 60]
    assert choose_key_frames(_grey([0.5, 0.5 + ALIKE / 2]), 4) in ([0], [1])


def test_no_choice_is_more_than_twice_as_near():
    """Gonzalez' bound, against all choices."""
    thumbnails = [thumbnail(frame) for frame in grain(9)]
    assert thumbnails[0].shape == (3, THUMBNAIL, THUMBNAIL)
    chosen = choose_key_frames(thumbnails, 3)
    assert len(set(chosen)) == 3
    best = min(_far(thumbnails, each) for each in combinations(range(9), 3))
    assert _far(thumbnails, chosen) <= 2 * best


def test_there_are_never_more_than_asked_for():
    thumbnails = [thumbnail(frame) for frame in grain(6)]
    assert [len(choose_key_frames(thumbnails, most)) for most in (1, 2, 6, 9)] == [1, 2, 6, 6]
