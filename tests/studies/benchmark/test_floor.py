"""The floor of a step, and the operations of its networks."""

import tiny
import torch
from small_transfer import default_transfer
from torch import nn

from splice.studies.benchmark.floor import Floor
from splice.studies.benchmark.stopwatch import Call, Calls, recorded_calls


def test_the_floor_changes_nothing():
    transfer = default_transfer()
    with recorded_calls(transfer) as calls:
        next(transfer.steps())
    before = {name: value for name, value in transfer.state().items() if "weight" in name}
    Floor(transfer).prepare(calls)()
    after = transfer.state()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_operations_of_the_vit_are_what_its_matrices_take():
    transfer = default_transfer()
    tokens, width = (tiny.SIDE // tiny.PATCH) ** 2 + 1, tiny.WIDTH
    wanted = {"tokens": {tiny.BLOCKS}, "short_side": None}
    calls = Calls(vit=[Call((1, 3, tiny.SIDE, tiny.SIDE), wanted)])
    embedding = 2 * (tokens - 1) * 3 * tiny.PATCH**2 * width
    linear = 2 * tokens * width * (3 + 1 + 4 + 4) * width
    attention = 2 * 2 * tokens**2 * width
    # Back through a frozen matrix costs as much as forward, back through attention twice as much.
    expected = 2 * embedding + tiny.BLOCKS * (2 * linear + 3 * attention)
    assert Floor(transfer).operations(calls)["vit"] == expected


def test_operations_of_the_generator_are_what_its_convolutions_take():
    transfer = default_transfer()
    size = (1, transfer.learner.network.inputs, 64, 64)
    found = Floor(transfer).operations(Calls(generator=[Call(size)]))
    forward, first = 0, 0
    made = []

    def note(module, inputs, output):
        made.append((module, inputs[0].shape, output.shape))

    convolutions = [m for m in transfer.learner.network.modules() if isinstance(m, nn.Conv2d)]
    hooks = [module.register_forward_hook(note) for module in convolutions]
    with torch.no_grad():
        transfer.learner.network(torch.zeros(size))
    for hook in hooks:
        hook.remove()
    for module, entering, leaving in made:
        count = 2 * module.weight.numel() * leaving[-2:].numel()
        forward += count
        # The network's own input needs no gradient: its first convolution and first skip.
        first += count if entering[1] == transfer.learner.network.inputs else 0
    assert found["generator"] == 3 * forward - first
