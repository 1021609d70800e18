"""The generator of a domain: sizes, budgets, and where the condition gets to."""

import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splice.domain.condition import Condition, together
from splice.domain.conditioning.registry import LAYERS
from splice.domain.generator import DomainGenerator, channels_for_budget
from splice.errors import InputError

WIDTH, CHANNELS = 10, (4, 6, 8)


def made(layer: str = "film", seed: int = 0, channels: tuple[int, ...] = CHANNELS):
    """A generator that no longer starts from the structure picture."""
    network = DomainGenerator(
        layer, WIDTH, channels=channels, rank=5, skip=3, generator=tiny.generator(seed)
    )
    nn.init.normal_(network.colours.weight, 0.0, 1.0, tiny.generator(7))
    return network


def told(count: int = 1, seed: int = 1) -> Condition:
    random = tiny.generator(seed)
    sentence, words = (torch.randn(count, *shape, WIDTH, generator=random) for shape in ((), (3,)))
    return Condition(sentence, words, torch.ones(count, 3, dtype=torch.bool))


def convolution(part: nn.Conv2d, x: Tensor) -> Tensor:
    if part.kernel_size == (3, 3):
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(x, part.weight, part.bias, part.stride)


def layer(part: nn.Sequential, x: Tensor) -> Tensor:
    x = convolution(part[1], x)  # type: ignore[arg-type]
    variance, mean = torch.var_mean(x, (2, 3), unbiased=False, keepdim=True)
    x = (x - mean) / (variance + 1e-5).sqrt()
    return torch.where(x > 0, x, 0.2 * x)


@torch.no_grad()
def test_the_network_is_what_its_description_says():
    """Written out: two levels, FiLM, skips, in float64."""
    network = made(channels=(4, 6)).double()
    x = tiny.picture(16, 24)[None].double()
    condition = told().to(torch.float64)
    c = condition.sentence @ network.embedding.weight.T + network.embedding.bias
    skips, h = [], x
    for encoder, skip in zip(network.encoders, network.skips, strict=True):
        skips.append(layer(skip, h))
        h = layer(encoder[1], layer(encoder[0], h))
    for joint, film, after in zip(
        network.joints, network.conditionings, network.after, strict=True
    ):
        h = F.interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)
        h = layer(joint, torch.cat([h, skips.pop()], 1))
        scale = (c @ film.scale.weight.T + film.scale.bias)[:, :, None, None]
        shift = (c @ film.shift.weight.T + film.shift.bias)[:, :, None, None]
        told_of = scale * h + shift
        h = h + convolution(after[1], torch.where(told_of > 0, told_of, 0.2 * told_of))
    start = x.clamp(0.02, 0.98)
    changes = convolution(network.colours, h)
    logits = (1 + changes[:, :3]) * (start / (1 - start)).log() + changes[:, 3:]
    wanted = 1 / (1 + (-logits).exp())
    torch.testing.assert_close(network(x, condition), wanted, atol=1e-10, rtol=0)


@torch.no_grad()
def test_any_colour_can_become_one_that_is_asked_for():
    """The norms do not see what colour a plain picture has, so offsets alone would not do."""
    network = made()
    network.colours.weight.zero_()
    network.colours.bias.copy_(torch.tensor([-1.0, -1, -1, 0.5, -2, 1]))
    wanted = torch.sigmoid(torch.tensor([0.5, -2, 1]))
    for colour in (0.1, 0.5, 0.9):
        painted = network(torch.full((1, 3, 16, 16), colour), told())
        torch.testing.assert_close(painted, wanted[None, :, None, None].expand(1, 3, 16, 16))


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_pictures_of_any_size_come_back_at_that_size(name):
    network = made(name)
    for height, width in ((1, 1), (8, 8), (13, 30), (33, 17)):
        output = network(torch.rand(2, 3, height, width), told(2))
        assert output.shape == (2, 3, height, width)
        assert bool(torch.isfinite(output).all())
        assert 0 <= output.min() <= output.max() <= 1


@torch.no_grad()
def test_an_odd_size_is_the_padded_picture_cut():
    network, x = made(), tiny.picture(13, 30)[None]
    whole = torch.cat([x, x[..., -1:].expand(-1, -1, -1, 2)], -1)
    whole = torch.cat([whole, whole[:, :, -1:].expand(-1, -1, 3, -1)], 2)
    torch.testing.assert_close(network(x, told()), network(whole, told())[..., :13, :30])


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_a_picture_is_painted_alike_in_every_batch(name):
    """Words of the shorter condition are padded."""
    network, x = made(name), torch.rand(2, 3, 16, 16, generator=tiny.generator())
    plain = Condition.of_sentence(told(seed=2).sentence)
    both = together([told(), plain])
    assert both.words.shape == (2, 3, WIDTH)
    alone = torch.cat([network(x[:1], told()), network(x[1:], plain)])
    torch.testing.assert_close(network(x, both), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", LAYERS)
def test_every_weight_and_the_condition_are_learnt(name):
    network, condition = made(name), told(2)
    sentence = condition.sentence.requires_grad_()
    x = torch.rand(2, 3, 16, 16, generator=tiny.generator())
    output = network(x, Condition(sentence, condition.words, condition.present))
    (output - 0.3).square().mean().backward()
    assert sentence.grad is not None
    assert sentence.grad.abs().max() > 0
    for where, weight in network.named_parameters():
        assert weight.grad is not None, where
        assert bool(torch.isfinite(weight.grad).all()), where
        assert weight.grad.abs().max() > 0, where


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_every_level_is_told_of_the_condition(name):
    """With the condition's way into all other levels closed, each alone changes the output."""
    for open_ in range(len(CHANNELS)):
        network, x = made(name), tiny.picture(16, 16)[None]
        for level, after in enumerate(network.after):
            if level != open_:
                nn.init.zeros_(after[1].weight)
        change = network(x, told(seed=2)) - network(x, told(seed=3))
        assert change.abs().max() > 1e-4


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_products_in_bfloat16_paint_nearly_the_same(name):
    network, x = made(name), torch.rand(2, 3, 16, 16, generator=tiny.generator())
    exact = network(x, told(2))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(x, told(2))
    assert 0 < (rounded - exact).abs().mean() < 0.02


@torch.no_grad()
def test_it_starts_from_the_structure_picture():
    network = DomainGenerator("film", WIDTH, channels=CHANNELS, generator=tiny.generator())
    picture = tiny.picture(16, 13)[None]
    picture[..., :4] = torch.tensor([0.0, 0.01, 0.99, 1.0])
    torch.testing.assert_close(network(picture, told()), picture.clamp(0.02, 0.98))


def test_the_same_seed_gives_the_same_network():
    first, same, other = (
        nn.utils.parameters_to_vector(made(seed=seed).parameters()) for seed in (3, 3, 4)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@torch.no_grad()
def test_masks_of_all_levels_are_as_large_as_the_picture():
    network, x = made("spatial"), tiny.picture(13, 30)[None]
    masks = network.masks(x, told())
    assert masks.shape == (1, 3, 13, 30)
    assert 0 < masks.min() < masks.max() < 1
    # The deepest level has one mask for 4 × 4 pixels.
    blocks = masks[:, 0, :12, :28].unfold(1, 4, 4).unfold(2, 4, 4).flatten(3)
    assert torch.equal(blocks.amin(-1), blocks.amax(-1))
    with pytest.raises(InputError, match="'film' has no masks"):
        made("film").masks(x, told())


@torch.no_grad()
def test_closed_masks_leave_shapes_and_no_condition():
    network, x = made("spatial"), tiny.picture(16, 16)[None]
    for each in network.conditionings:
        each.decide.weight.zero_()
        each.decide.bias.fill_(-1e3)
    output = network(x, told(seed=2))
    assert torch.equal(output, network(x, told(seed=3)))
    assert output.std() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("budget", [800_000, 2_000_000])
def test_all_layers_have_the_same_budget_within_five_per_cent(budget):
    """Counted on networks with weights, not by what chose the widths."""
    counts = {}
    for name in LAYERS:
        channels = channels_for_budget(name, 384, budget)
        network = DomainGenerator(name, 384, channels=channels, generator=tiny.generator())
        counts[name] = sum(weight.numel() for weight in network.parameters())
    assert max(counts.values()) <= 1.05 * min(counts.values()), counts
    assert all(abs(count - budget) < 0.05 * budget for count in counts.values()), counts


def test_a_budget_that_cannot_be_kept_is_said():
    with pytest.raises(InputError, match="a budget of 1000 parameters"):
        channels_for_budget("affine", 384, 1000)


def test_conditions_of_several_batches_come_together():
    first, second = told(2), Condition.of_sentence(torch.ones(1, WIDTH))
    both = together([first, second])
    assert len(both) == 3
    assert both.present.tolist() == [[True] * 3, [True] * 3, [True, False, False]]
    assert torch.equal(both[2:].sentence, second.sentence)
    assert torch.equal(both.words[2, 0], second.sentence[0])
    assert both.to(torch.float64).words.dtype == torch.float64
    assert both.to(torch.float64).present.dtype == torch.bool


def dyed(count: int, random: torch.Generator) -> tuple[Tensor, Condition, Tensor]:
    """Grey blobs, conditions whose first three numbers are a dye, and the blobs dyed so."""
    grey = F.interpolate(torch.rand(count, 1, 4, 4, generator=random), (16, 16), mode="bilinear")
    told = torch.randn(count, WIDTH, generator=random)
    dye = torch.sigmoid(told[:, :3])[:, :, None, None]
    return grey.expand(-1, 3, -1, -1), Condition.of_sentence(told), grey * dye


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_learns_to_do_as_it_is_told(name):
    """On conditions never seen: far nearer to what is asked for than to what another asks for."""
    random = tiny.generator()
    network = DomainGenerator(name, WIDTH, channels=(8, 16), rank=16, generator=random)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(120):
        x, condition, wanted = dyed(8, random)
        optimiser.zero_grad()
        (network(x, condition) - wanted).abs().mean().backward()
        optimiser.step()
    x, condition, wanted = dyed(64, tiny.generator(9))
    with torch.no_grad():
        away = (network(x, condition) - wanted).abs().flatten(1).mean(1)
        others = (network(x, condition) - wanted.roll(1, 0)).abs().flatten(1).mean(1)
    assert away.mean() < 0.6 * others.mean()
