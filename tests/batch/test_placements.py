"""Where the workers of a batch run."""

import torch

from splice.batch import placements

# Where workers run.


def test_workers_are_spread_over_the_gpus_that_may_be_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5,GPU-7a")

    def gpus(*args, **kwargs):
        return [place.get("CUDA_VISIBLE_DEVICES") for place in placements(*args, **kwargs)]

    assert gpus() == ["2", "5", "GPU-7a"]
    assert gpus(pairs_per_device=2) == ["2", "5", "GPU-7a"] * 2
    assert gpus(4) == ["2", "5", "GPU-7a", "2"]
    assert gpus(2, device="cuda") == ["2", "5"]
    # A certain device is left to the workers themselves, and so is the only one.
    assert gpus(device="cuda:1") == [None]
    assert gpus(pairs_per_device=3, device="cpu") == [None] * 3
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus() == ["0", "1", "2"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert gpus(2) == [None, None]


def test_without_a_gpu_there_is_one_worker_or_as_many_as_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert placements() == [{}]
    assert placements(3) == [{}] * 3
