"""Sparing memory: parts are computed twice rather than kept, and every gradient stays the same."""

import pytest
import tiny
import torch

from splice.method.generator import UNet

pytestmark = pytest.mark.robustness
KINDS = {"cls": (1, 4), "tokens": (2, 3), "keys": (2, 4), "values": (3,), "attention": (2,)}


def saved_bytes(work) -> int:
    """What autograd keeps of a computation, but for what is kept to compute it again."""
    sizes = []

    def pack(tensor):
        sizes.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        work()
    return sum(sizes)


def gradients(network: UNet, x: torch.Tensor, *, sparing: bool, dtype=None) -> list[torch.Tensor]:
    network.sparing = sparing
    network.zero_grad()
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        painted = network(x)
    painted.square().sum().backward()
    found = [weight.grad for weight in network.parameters()]
    return [painted.detach(), *(gradient.clone() for gradient in found if gradient is not None)]


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_the_generator_learns_the_same_bit_by_bit(dtype):
    network = UNet(5, start="rectifier", generator=tiny.generator())
    # It starts with zeros, through which no gradient goes.
    torch.nn.init.normal_(network.colours.weight, 0.0, 0.5, tiny.generator(3))
    x = torch.rand(2, 5, 70, 90, generator=tiny.generator(1))
    kept = gradients(network, x, sparing=False, dtype=dtype)
    again = gradients(network, x, sparing=True, dtype=dtype)
    assert len(kept) == 1 + len(list(network.parameters())) == len(again)
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))
    assert all(gradient.abs().sum() > 0 for gradient in kept)


def test_the_generator_keeps_far_less():
    network = UNet(5)
    x = torch.rand(1, 5, 128, 128)
    kept = saved_bytes(lambda: network(x))
    network.sparing = True
    assert saved_bytes(lambda: network(x)) < 0.2 * kept


@pytest.mark.parametrize("model", [tiny.standard, tiny.rotary])
def test_the_vit_gives_the_same_features_and_gradient(model):
    vit = tiny.frozen(model())
    images = torch.rand(3, 3, 70, 56, generator=tiny.generator(2))

    def look(vit, images):
        images = images.clone().requires_grad_()
        found = vit(images, **KINDS, short_side=None)
        values = [getattr(found, kind)[block] for kind in KINDS for block in KINDS[kind]]
        torch.stack([value.square().mean() for value in values]).sum().backward()
        return [*(value.detach() for value in values), images.grad]

    one = images[:1]
    assert all(map(torch.equal, look(vit, one), look(vit.spared(), one)))
    for kept, again in zip(look(vit, images), look(vit.spared(), images), strict=True):
        assert kept.shape == again.shape
        torch.testing.assert_close(again, kept, rtol=1e-4, atol=1e-6)
    assert not vit.sparing


def test_the_vit_keeps_far_less():
    vit, spared = tiny.frozen(), tiny.frozen().spared()
    image = torch.rand(1, 3, 56, 56, requires_grad=True)
    kept = saved_bytes(lambda: vit(image, cls=[4], short_side=None))
    assert saved_bytes(lambda: spared(image, cls=[4], short_side=None)) < 0.4 * kept


def test_a_spared_vit_stays_so_in_another_precision():
    assert tiny.frozen().spared().at_precision(torch.bfloat16).sparing
