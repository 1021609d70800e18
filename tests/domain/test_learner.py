"""The network as it learns: against torch's own Adam and an average written out."""

import tiny
import torch
from torch import nn

from splice.domain.generator import DomainGenerator
from splice.domain.learner import Learner
from splice.domain.parallel import World, world_of


def _network() -> nn.Linear:
    network = nn.Linear(3, 2)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=tiny.generator()))
    return network


def test_weights_follow_adam_and_the_average_follows_them():
    ours, theirs = _network(), _network()
    learner = Learner(ours, [], None, 0.8, World())
    adam = torch.optim.Adam(theirs.parameters(), betas=(0.5, 0.99))
    average = [weight.detach().clone() for weight in theirs.parameters()]
    inputs = torch.randn(20, 4, 3, generator=tiny.generator(1))
    for step in range(20):
        rate = 0.01 * (1 + step % 3)
        assert learner.learn(ours(inputs[step]).square().mean(), rate, step)
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        theirs(inputs[step]).square().mean().backward()
        adam.step()
        past = min(0.8, (step + 1) / (step + 10))
        average = [
            past * old + (1 - past) * weight.detach()
            for old, weight in zip(average, theirs.parameters(), strict=True)
        ]
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    for one, other in zip(learner.average, average, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    live = ours.weight.detach().clone()
    with learner.averaged():
        assert torch.equal(ours.weight, learner.average[0])
    assert torch.equal(ours.weight, live)


def test_matrices_change_alike_in_every_direction():
    """Muon's do: Adam would follow the signs, and plain descent the larger gradient alone."""
    network = _network()
    learner = Learner(network, [network.weight], None, 0.8, World())
    before = network.weight.detach().clone()
    one, other = torch.tensor([[0.6, 0.8], [0.8, -0.6]])
    right = torch.tensor([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0]])
    gradient = 10 * one[:, None] * right[0] + other[:, None] * right[1]
    assert learner.learn((gradient * network.weight).sum(), 0.1, 0)
    change = before - network.weight.detach()
    lengths = torch.stack([one @ change @ right[0], other @ change @ right[1]])
    # Of 3, the longer side of the matrix, and Muon's length.
    lengths = lengths / (0.1 * 0.2 * 3**0.5)
    assert float(lengths.min()) > 0.65
    assert float(lengths.max()) < 1.2


def test_everything_but_the_last_convolution_is_changed_by_muon():
    network = DomainGenerator(
        "film", 8, channels=(4, 4), generator=torch.Generator().manual_seed(0)
    )
    chosen = {id(weight) for weight in network.matrices()}
    names = [name for name, weight in network.named_parameters() if id(weight) in chosen]
    assert "colours.weight" not in names
    assert {weight.ndim for weight in network.parameters() if id(weight) in chosen} == {2, 4}
    others = {
        weight.ndim
        for name, weight in network.named_parameters()
        if id(weight) not in chosen and name != "colours.weight"
    }
    assert others == {1}


def test_a_gradient_that_is_not_finite_teaches_nothing():
    network = _network()
    learner = Learner(network, [], _network(), 0.8, World())
    before = learner.state()
    assert not learner.learn(network(torch.ones(1, 3)).sum() * float("nan"), 0.1, 0)
    after = learner.state()
    for name, value in before.items():
        assert torch.equal(value, after[name]), name


def test_while_reading_is_learnt_painting_stays():
    network, reader = _network(), _network()
    learner = Learner(network, [], reader, 0.8, World())
    painting, reading = network.weight.detach().clone(), reader.weight.detach().clone()
    assert learner.learn(reader(torch.ones(1, 3)).square().sum(), 0.1, -1)
    assert torch.equal(network.weight, painting)
    assert torch.equal(learner.average[0], painting)
    assert not torch.equal(reader.weight, reading)


def test_the_world_is_what_torchrun_tells():
    assert world_of({}) == World(0, 1, 0)
    told = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}
    assert world_of(told) == World(3, 4, 1)
    assert [list(World(rank, 2).share(6)) for rank in range(2)] == [[0, 1, 2], [3, 4, 5]]
