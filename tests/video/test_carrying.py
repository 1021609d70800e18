"""What is carried from frame to frame."""

import torch

from splice.video.carrying import Carried

STILL = torch.zeros(1, 2, 4, 6)
KNOWN = torch.zeros(1, 1, 4, 6)


def test_what_is_found_comes_in_by_the_gain():
    carried = Carried(0.25)
    assert carried.share_unknown == 1
    assert torch.equal(carried.mend(torch.zeros(1, 2, 4, 6)), torch.zeros(1, 2, 4, 6))
    for _ in range(5):
        carried.carry(STILL, KNOWN)
        got = carried.mend(torch.ones(1, 2, 4, 6))
    assert torch.allclose(got, torch.tensor(1 - 0.75**5))


def test_equal_findings_stay_to_the_bit():
    found, carried = torch.randn(1, 3, 4, 6), Carried(0.3, sharp=True)
    carried.mend(found)
    for _ in range(4):
        carried.carry(STILL, KNOWN)
        assert torch.equal(carried.mend(found), found)


def test_what_is_unknown_is_taken_as_found_also_later():
    carried = Carried(0.1)
    carried.mend(torch.zeros(1, 1, 4, 6))
    strange = KNOWN.clone()
    strange[..., 5] = 1
    across = STILL.clone()
    across[:, 1] = 1
    carried.carry(across, strange)
    assert torch.equal(carried.unknown, strange)
    # A frame further, what was strange has moved on to the left, and is as unknown.
    carried.carry(across, strange)
    assert carried.unknown is not None
    assert carried.unknown[0, 0, 0].tolist() == [0, 0, 0, 0, 1, 1]
    assert abs(carried.share_unknown - 2 / 6) < 1e-6
    got = carried.mend(torch.ones(1, 1, 4, 6))
    assert torch.allclose(got[0, 0, 0], torch.tensor([0.1, 0.1, 0.1, 0.1, 1, 1]))
    assert carried.share_unknown == 0


def test_maps_go_with_what_moves():
    carried = Carried(0.5)
    maps = torch.arange(6.0).expand(1, 1, 4, 6)
    carried.mend(maps)
    across = STILL.clone()
    across[:, 1] = 2
    carried.carry(across, KNOWN)
    assert carried.maps is not None
    assert carried.maps[0, 0, 0].tolist() == [2, 3, 4, 5, 5, 5]
