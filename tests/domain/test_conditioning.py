"""Each conditioning layer against its formula, written as loops over pictures, places and maps."""

import pytest
import tiny
import torch
from layer_formulas import BATCH, CHANNELS, COLUMNS, RANK, ROWS, TRANSCRIBED, WIDTH, WORDS, places
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.conditioning.affine import Film
from splice.domain.conditioning.bilinear import FullBilinear, bilinear_form
from splice.domain.conditioning.concatenation import Concatenation
from splice.domain.conditioning.places import normalised
from splice.domain.conditioning.registry import LAYERS, make_conditioning
from splice.domain.conditioning.spatial import Spatial
from splice.errors import InputError


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=tiny.generator(seed), dtype=torch.float64)


def maps() -> Tensor:
    return drawn(BATCH, CHANNELS, ROWS, COLUMNS, seed=1)


def condition() -> Condition:
    """Words of which the second picture lacks two, one in the midst."""
    present = torch.ones(BATCH, WORDS, dtype=torch.bool)
    present[1, 1] = present[1, 3] = False
    return Condition(drawn(BATCH, WIDTH, seed=2), drawn(BATCH, WORDS, WIDTH, seed=3), present)


def made(name: str, rank: int = RANK) -> nn.Module:
    """A layer of which no weight is where it starts."""
    layer = make_conditioning(name, CHANNELS, WIDTH, rank=rank, generator=tiny.generator())
    random = tiny.generator(5)
    for weight in layer.parameters():
        weight.data += 0.3 * torch.randn(weight.shape, generator=random)
    return layer.double()


def test_all_layers_are_transcribed():
    assert set(TRANSCRIBED) == set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_a_layer_is_its_formula(name):
    layer = made(name)
    found, wanted = layer(maps(), condition()), TRANSCRIBED[name](layer, maps(), condition())
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", [*LAYERS, "full"])
def test_gradients_are_finite_differences(name):
    layer = made("bilinear", 0) if name == "full" else made(name, 2)
    given = condition()
    weights = list(layer.parameters())

    def painted(x: Tensor, sentence: Tensor, words: Tensor, *changed: Tensor) -> Tensor:
        named = dict(zip((n for n, _ in layer.named_parameters()), changed, strict=True))
        told = Condition(sentence, words, given.present[1:])
        return torch.func.functional_call(layer, named, (x, told))

    inputs = [maps()[:1, :, :2, :3], given.sentence[1:], given.words[1:], *weights]
    inputs = [each.detach().clone().requires_grad_() for each in inputs]
    assert torch.autograd.gradcheck(painted, inputs, fast_mode=len(weights) > 6)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_words_that_are_not_there_do_not_count(name):
    layer, given = made(name), condition()
    words = given.words.clone()
    words[~given.present] = 1e3
    padded = Condition(given.sentence, words, given.present)
    assert torch.equal(layer(maps(), given), layer(maps(), padded))


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_a_picture_is_conditioned_alike_in_every_batch(name):
    layer, given, x = made(name), condition(), maps()
    alone = torch.cat([layer(x[row : row + 1], given[row : row + 1]) for row in range(BATCH)])
    torch.testing.assert_close(layer(x, given), alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_the_condition_tells(name):
    """A layer as it starts already gives other maps for another sentence."""
    layer = make_conditioning(name, CHANNELS, WIDTH, rank=RANK, generator=tiny.generator())
    x = maps().float()
    one, other = (Condition.of_sentence(drawn(BATCH, WIDTH, seed=n).float()) for n in (8, 9))
    assert (layer(x, one) - layer(x, other)).abs().mean() > 0.05


@torch.no_grad()
def test_normalised_maps_are_batch_norm_of_one_picture():
    for x in maps().split(1):
        wanted = nn.BatchNorm2d(CHANNELS, affine=False).double().train()(x)
        torch.testing.assert_close(normalised(x), wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["attention", "scbn"])
@torch.no_grad()
def test_words_tell_different_things_to_different_places(name):
    layer, given, x = made(name), condition(), maps()
    changed = Condition(given.sentence, given.words.flip(2), given.present)
    change = (layer(x, given) - layer(x, changed)).flatten(2)
    assert change.std(-1).min() > 0.01
    turned = Condition(given.sentence, given.words.flip(1), given.present.flip(1))
    torch.testing.assert_close(layer(x, given), layer(x, turned), atol=1e-12, rtol=0)


def linear_pair(width: int, outputs: int, seed: int) -> tuple[Tensor, Tensor]:
    return drawn(outputs, width, seed=seed), drawn(outputs, seed=seed + 100)


@torch.no_grad()
def test_film_is_a_bilinear_form():
    """W_o has γ's row in the column of map o, β's row in the column of the 1, and else nothing."""
    layer = made("film")
    assert isinstance(layer, Film)
    weight = torch.zeros(CHANNELS, CHANNELS + 1, WIDTH + 1, dtype=torch.float64)
    for o in range(CHANNELS):
        weight[o, o] = torch.cat([layer.scale.weight[o], layer.scale.bias[o : o + 1]])
        weight[o, CHANNELS] = torch.cat([layer.shift.weight[o], layer.shift.bias[o : o + 1]])
    found = bilinear_form(maps(), condition().sentence, weight)
    torch.testing.assert_close(found, layer(maps(), condition()), atol=1e-12, rtol=0)


@torch.no_grad()
def test_concatenation_is_a_bilinear_form():
    """No product of a map and a number of the condition: only the last row and the last column."""
    layer = made("concatenation")
    assert isinstance(layer, Concatenation)
    of_maps, of_code = layer.join.weight[:, :CHANNELS, 0, 0], layer.join.weight[:, CHANNELS:, 0, 0]
    weight = torch.zeros(CHANNELS, CHANNELS + 1, WIDTH + 1, dtype=torch.float64)
    weight[:, :CHANNELS, WIDTH] = of_maps
    weight[:, CHANNELS, :WIDTH] = of_code @ layer.compress.weight
    weight[:, CHANNELS, WIDTH] = layer.join.bias + of_code @ layer.compress.bias
    found = bilinear_form(maps(), condition().sentence, weight)
    torch.testing.assert_close(found, layer(maps(), condition()), atol=1e-12, rtol=0)


@torch.no_grad()
def test_the_bilinear_form_is_its_formula():
    weight, x, c = drawn(2, CHANNELS + 1, WIDTH + 1, seed=6), maps(), condition().sentence
    found = bilinear_form(x, c, weight)
    for b, row, column in places():
        one = torch.ones(1, dtype=torch.float64)
        left, right = torch.cat([x[b, :, row, column], one]), torch.cat([c[b], one])
        for o in range(2):
            wanted = sum(
                left[i] * weight[o, i, j] * right[j]
                for i in range(CHANNELS + 1)
                for j in range(WIDTH + 1)
            )
            torch.testing.assert_close(found[b, o, row, column], wanted, atol=1e-12, rtol=0)


@torch.no_grad()
def test_low_rank_is_the_full_form_with_products_of_its_factors():
    low, full = made("bilinear"), made("bilinear", 0)
    assert isinstance(full, FullBilinear)
    u = torch.cat([low.of_maps.weight[:, :, 0, 0], low.of_maps.bias[:, None]], 1)
    v = torch.cat([low.of_sentence.weight, low.of_sentence.bias[:, None]], 1)
    full.weight.copy_(torch.einsum("or,ri,rj->oij", low.back.weight[:, :, 0, 0], u, v))
    torch.testing.assert_close(
        low(maps(), condition()), full(maps(), condition()), atol=1e-12, rtol=0
    )


@torch.no_grad()
def test_masks_are_looked_at_and_close():
    layer = made("spatial")
    assert isinstance(layer, Spatial)
    open_, given = layer.masks(maps()), condition()
    assert open_.shape == (BATCH, 1, ROWS, COLUMNS)
    assert 0 < open_.min() < open_.max() < 1
    layer.decide.weight.zero_()
    layer.decide.bias.fill_(-1e3)
    assert torch.equal(layer.masks(maps()), torch.zeros_like(open_))
    assert torch.equal(layer(maps(), given), torch.zeros_like(maps()))


def test_the_same_seed_gives_the_same_weights():
    for name in LAYERS:
        first, same, other = (
            nn.utils.parameters_to_vector(
                make_conditioning(
                    name, CHANNELS, WIDTH, generator=tiny.generator(seed)
                ).parameters()
            )
            for seed in (3, 3, 4)
        )
        assert torch.equal(first, same)
        assert not torch.equal(first, other)


def test_what_no_layer_can_be_is_said():
    with pytest.raises(InputError, match="'adain': known are concatenation, attention"):
        make_conditioning("adain", 4, 4, generator=tiny.generator())
    with pytest.raises(InputError, match="rank 0 of the conditioning layer 'affine'"):
        make_conditioning("affine", 4, 4, rank=0, generator=tiny.generator())
    with pytest.raises(InputError, match="rank -1 of the conditioning layer 'bilinear'"):
        make_conditioning("bilinear", 4, 4, rank=-1, generator=tiny.generator())
