"""The tiny transformer and generator, compiled, beside the same ones as they are.

Run as a program, in a process without the checks that tests put on every call, which cannot be
compiled, and with every warning an error, as in the tests. Prints a line of JSON: for each part and
size the largest difference of results and of gradients, each relative to the largest value.
"""

import json
import sys
import warnings
from copy import deepcopy

import tiny
import torch
from torch import Tensor

from splice.method.generator import UNet

SIZES = ((56, 56), (70, 98))


def apart(found: list[Tensor], right: list[Tensor]) -> float:
    largest = max(float(value.detach().abs().max()) for value in right)
    pairs = zip(found, right, strict=True)
    return max(float((one - other).detach().abs().max()) for one, other in pairs) / largest


def transformer() -> list[tuple[float, float]]:
    plain = tiny.frozen()
    compiled = plain.compiled()

    def seen(vit, size: tuple[int, int]) -> tuple[list[Tensor], list[Tensor]]:
        image = tiny.picture(*size)[None].requires_grad_()
        features = vit(image, tokens=[4], keys=[2, 4], short_side=None)
        values = [features.tokens[4], features.keys[2], features.keys[4]]
        sum(value.square().sum() for value in values).backward()
        assert image.grad is not None
        return values, [image.grad]

    return differences(lambda size: seen(compiled, size), lambda size: seen(plain, size))


def generator() -> list[tuple[float, float]]:
    plain = UNet(channels=(4, 6), start="rectifier", generator=tiny.generator(1))
    # It starts with zeros, through which no gradient goes.
    torch.nn.init.normal_(plain.colours.weight, 0.0, 0.5, tiny.generator(3))
    compiled = deepcopy(plain)
    compiled.compile_learning()

    def painted(network, size: tuple[int, int]) -> tuple[list[Tensor], list[Tensor]]:
        network.zero_grad()
        image = network(tiny.picture(*size)[None])
        image.square().sum().backward()
        return [image], [weight.grad for weight in network.parameters()]

    return differences(lambda size: painted(compiled, size), lambda size: painted(plain, size))


def differences(fast, plain) -> list[tuple[float, float]]:
    found = []
    for size in SIZES:
        (values, gradients), (right, right_gradients) = fast(size), plain(size)
        found.append((apart(values, right), apart(gradients, right_gradients)))
    return found


if __name__ == "__main__":
    warnings.simplefilter("error")
    sys.stdout.write(json.dumps({"transformer": transformer(), "generator": generator()}))
