"""The conditioning layers written down number by number, as loops over pictures, places and maps."""

import math

import torch
from torch import Tensor, nn

from splice.domain.condition import Condition

BATCH, CHANNELS, ROWS, COLUMNS, WIDTH, WORDS, RANK = 2, 3, 4, 5, 6, 4, 7


def places() -> list[tuple[int, int, int]]:
    return [(b, y, x) for b in range(BATCH) for y in range(ROWS) for x in range(COLUMNS)]


def affine_of(linear: nn.Module, numbers: Tensor) -> Tensor:
    """A linear layer as a sum for each output."""
    weight, bias = linear.weight.flatten(1), linear.bias
    total = [
        sum(weight[o, i] * numbers[i] for i in range(len(numbers)))
        + (0.0 if bias is None else bias[o])
        for o in range(len(weight))
    ]
    return torch.stack(total)


def perceptron_of(layers: nn.Module, numbers: Tensor) -> Tensor:
    first, _, second = layers
    hidden = torch.stack([max(value, value * 0) for value in affine_of(first, numbers)])
    return affine_of(second, hidden)


def normal(x: Tensor) -> Tensor:
    """Each map less its mean over its deviation."""
    result = torch.empty_like(x)
    for b in range(len(x)):
        for c in range(x.shape[1]):
            values = x[b, c].flatten().tolist()
            mean = math.fsum(values) / len(values)
            variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
            result[b, c] = (x[b, c] - mean) / math.sqrt(variance + 1e-5)
    return result


def softmax_over_words(scores: list[Tensor], there: list[bool]) -> list[Tensor | float]:
    powers = [s.exp() if is_there else 0.0 for s, is_there in zip(scores, there, strict=True)]
    return [power / sum(powers) for power in powers]


def concatenation(layer: nn.Module, x: Tensor, c: Condition) -> Tensor:
    result = torch.empty_like(x)
    for b, row, column in places():
        code = affine_of(layer.compress, c.sentence[b])
        result[b, :, row, column] = affine_of(layer.join, torch.cat([x[b, :, row, column], code]))
    return result


def attention(layer: nn.Module, x: Tensor, c: Condition) -> Tensor:
    result = torch.empty_like(x)
    for b, row, column in places():
        h = x[b, :, row, column]
        words = [affine_of(layer.to_maps, word) for word in c.words[b]]
        beta = softmax_over_words([h.dot(word) for word in words], c.present[b].tolist())
        context = sum(weight * word for weight, word in zip(beta, words, strict=True))
        whole = affine_of(layer.whole, c.sentence[b])
        result[b, :, row, column] = affine_of(layer.join, torch.cat([h, whole, context]))
    return result


def affine(layer: nn.Module, x: Tensor, c: Condition) -> Tensor:
    x, result = normal(x), torch.empty_like(x)
    for b, row, column in places():
        value = x[b, :, row, column]
        for stage in range(2):
            scale = perceptron_of(layer.scales[stage], c.sentence[b])
            shift = perceptron_of(layer.shifts[stage], c.sentence[b])
            value = scale * value + shift
            if stage == 0:
                value = torch.stack([max(v, v * 0) for v in value])
        result[b, :, row, column] = value
    return result


def scbn(layer: nn.Module, x: Tensor, c: Condition) -> Tensor:
    x, result = normal(x), torch.empty_like(x)
    for b, row, column in places():
        v = x[b, :, row, column]
        words = [affine_of(layer.to_maps, word) for word in c.words[b]]
        weights = softmax_over_words([v.dot(word) for word in words], c.present[b].tolist())
        fused = sum(weight * word for weight, word in zip(weights, words, strict=True))
        scale = perceptron_of(layer.scale, c.sentence[b]) + affine_of(layer.word_scale, fused)
        shift = perceptron_of(layer.shift, c.sentence[b]) + affine_of(layer.word_shift, fused)
        result[b, :, row, column] = scale * v + shift
    return result


def film(layer: nn.Module, x: Tensor, c: Condition) -> Tensor:
    result = torch.empty_like(x)
    for b, row, column in places():
        scale, shift = affine_of(layer.scale, c.sentence[b]), affine_of(layer.shift, c.sentence[b])
        for o in range(CHANNELS):
            result[b, o, row, column] = scale[o] * x[b, o, row, column] + shift[o]
    return result


def bilinear(layer: nn.Module, x: Tensor, c: Condition) -> Tensor:
    result = torch.empty_like(x)
    for b, row, column in places():
        here = x[b, :, row, column]
        u, v = affine_of(layer.of_maps, here), affine_of(layer.of_sentence, c.sentence[b])
        result[b, :, row, column] = here + affine_of(layer.back, u * v)
    return result


def spatial(layer: nn.Module, x: Tensor, c: Condition) -> Tensor:
    hat, result = normal(x), torch.empty_like(x)
    mirrored = nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
    kernels = layer.seek[1].weight
    within = torch.zeros(BATCH, len(kernels), ROWS, COLUMNS, dtype=x.dtype)
    for b, row, column in places():
        window = mirrored[b, :, row : row + 3, column : column + 3]
        within[b, :, row, column] = torch.stack([(k * window).sum() for k in kernels])
    within = normal(within)
    for b, row, column in places():
        seen = torch.stack([max(v, v * 0) for v in within[b, :, row, column]])
        mask = 1 / (1 + (-affine_of(layer.decide, seen)).exp())
        scale = perceptron_of(layer.scale, c.sentence[b])
        shift = perceptron_of(layer.shift, c.sentence[b])
        result[b, :, row, column] = mask * (scale * hat[b, :, row, column] + shift)
    return result


TRANSCRIBED = {
    each.__name__: each
    for each in (concatenation, attention, affine, scbn, film, bilinear, spatial)
}
