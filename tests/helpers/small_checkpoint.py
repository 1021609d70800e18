"""A checkpoint with everything in it that a state may hold, and whether two are the same."""

import torch

from splice.method.settings import Settings
from splice.running.checkpoint import Checkpoint


def make(seed: int = 0, step: int = 7) -> Checkpoint:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(4, 3, 5, 5, generator=generator)
    shared = torch.randn(6, generator=generator)
    return Checkpoint(
        step=step,
        settings=Settings(steps=300).model_dump(mode="json"),
        inputs={"structure image": "a" * 64, "appearance image": "b" * 64},
        state={
            "weight": weight,
            "channels last": weight.contiguous(memory_format=torch.channels_last) + 1,
            "half": shared.bfloat16(),
            "counter": torch.tensor(3.0),
            "generator": generator.get_state(),
            "flags": torch.tensor([True, False]),
            "empty": torch.zeros(0, 4),
            "shared": shared,
            "shared too": shared,
            "strided": weight[:, 1],
            "gradient": torch.ones(2, requires_grad=True),
            "step": step,
            "scale": 0.1 + 0.2,
            "nothing": None,
            "names": ["a", {"b": [1, 2.5]}],
        },
        watched={"losses": torch.randn(3, 2, generator=generator).double(), "columns": ["x", "y"]},
    )


def assert_same(first: Checkpoint, second: Checkpoint) -> None:
    assert (first.step, first.settings, first.inputs) == (
        second.step,
        second.settings,
        second.inputs,
    )
    for one, other in ((first.state, second.state), (first.watched, second.watched)):
        assert one.keys() == other.keys()
        for name, value in one.items():
            if isinstance(value, torch.Tensor):
                assert other[name].dtype == value.dtype
                assert torch.equal(other[name], value), name
                assert not other[name].requires_grad
            else:
                assert other[name] == value
