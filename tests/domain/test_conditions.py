"""Conditions of pictures against what the transformer shows, and a domain's standard."""

import pytest
import tiny
import torch
import torch.nn.functional as F

from splice.domain.condition import Condition, together
from splice.domain.conditions import Look, Standard, find_standard, part_means, see
from splice.errors import InputError
from splice.method.clusters import k_means


def pictures() -> torch.Tensor:
    return torch.stack([tiny.picture(56, 56, seed) for seed in (1, 2)])


@torch.no_grad()
def test_the_sentence_is_cls_of_several_depths():
    vit = tiny.frozen()
    look = Look(depths=(0.5, 1.0), short_side=tiny.SIDE)
    seen = vit(pictures(), cls=[2, 4], short_side=tiny.SIDE)
    found = see(vit, pictures(), look)
    assert look.width(vit) == 2 * tiny.WIDTH
    for row in range(2):
        for n, block in enumerate((2, 4)):
            token = seen.cls[block][row].double()
            part = found.sentence[row, n * tiny.WIDTH : (n + 1) * tiny.WIDTH]
            wanted = token / token.square().sum().sqrt()
            torch.testing.assert_close(part.double(), wanted, atol=1e-6, rtol=0)
    assert torch.equal(found.words[:, 0], found.sentence)
    assert found.present.tolist() == [[True], [True]]


@torch.no_grad()
def test_words_are_weighted_means_of_the_pictures_tokens():
    """Of one part they are the mean of all; of several each is within the tokens' range."""
    vit = tiny.frozen()
    tokens = vit(pictures(), tokens=[4], short_side=tiny.SIDE).tokens[4]
    unit = F.normalize(tokens, dim=-1)
    one = see(vit, pictures(), Look(parts=1, depths=(1.0,), short_side=tiny.SIDE))
    torch.testing.assert_close(one.words[:, 0], unit.mean(1), atol=1e-5, rtol=0)
    look = Look(parts=3, depths=(1.0,), short_side=tiny.SIDE)
    three = see(vit, pictures(), look)
    assert three.words.shape == (2, 3, tiny.WIDTH)
    assert bool((three.words <= unit.amax(1)[:, None] + 1e-5).all())
    assert bool((three.words >= unit.amin(1)[:, None] - 1e-5).all())
    alone = see(vit, pictures()[1:], look)
    torch.testing.assert_close(three.words[1:], alone.words, atol=1e-5, rtol=0)


def test_parts_that_lie_apart_have_their_own_means():
    """Three groups of tokens, ten times farther apart than they are wide."""
    centres = 10 * torch.eye(3)
    of = torch.arange(60) % 3
    tokens = centres[of] + 0.3 * torch.randn(60, 3, generator=tiny.generator())
    found = part_means(tokens, 3, seed=2)
    for group in range(3):
        mean = tokens[of == group].mean(0)
        assert (found - mean).norm(dim=1).min() < 1e-3


def test_soft_parts_are_their_formula():
    tokens = torch.randn(30, 4, generator=tiny.generator(), dtype=torch.float64)
    centres = k_means(tokens, 3, tiny.generator(5))
    square = [[float((t - c).square().sum()) for c in centres] for t in tokens]
    width = sum(min(row) for row in square) / 30 / 2
    members = [[torch.tensor(-d / width).exp().item() for d in row] for row in square]
    found = part_means(tokens, 3, seed=5)
    for part in range(3):
        shares = [row[part] / sum(row) for row in members]
        wanted = sum(s * t for s, t in zip(shares, tokens, strict=True)) / sum(shares)
        torch.testing.assert_close(found[part], wanted, atol=1e-6, rtol=0)


def conditions() -> list[Condition]:
    """Of five pictures, some with fewer words than others, the last number of all nearly constant."""
    found = []
    for count, words, seed in ((2, 3, 1), (2, 1, 2), (1, 2, 3)):
        random = tiny.generator(seed)
        sentence = 2 * torch.randn(count, 4, generator=random) + 5
        told = 3 * torch.randn(count, words, 4, generator=random) - 1
        sentence[:, 3] = told[:, :, 3] = 0.5
        found.append(Condition(sentence, told, torch.ones(count, words, dtype=torch.bool)))
    return found


def test_standardised_conditions_have_mean_zero_and_deviation_one():
    """Words that are padding do not count, and what never changes is not blown up."""
    standard = find_standard(conditions())
    found = [standard.applied(each) for each in conditions()]
    for samples in (
        torch.cat([each.sentence for each in found]),
        torch.cat([each.words.flatten(0, 1) for each in found]),
    ):
        torch.testing.assert_close(samples.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
        spread = samples.std(0, correction=0)
        torch.testing.assert_close(spread[:3], torch.ones(3), atol=1e-5, rtol=0)
        assert spread[3] < 1e-3
    every = standard.applied(together(conditions()))
    torch.testing.assert_close(every.words[2:4, :1], found[1].words, atol=1e-6, rtol=0)


def test_a_standard_comes_back_from_a_file():
    standard = find_standard(conditions())
    again = Standard.from_tensors(standard.tensors())
    one, other = (each.applied(conditions()[0]).words for each in (standard, again))
    assert torch.equal(one, other)
    damaged = standard.tensors() | {"word_mean": torch.zeros(3)}
    with pytest.raises(InputError, match="differ in width"):
        Standard.from_tensors(damaged)
    damaged.pop("sentence_mean")
    with pytest.raises(InputError, match="lacks sentence_mean"):
        Standard.from_tensors(damaged)
    with pytest.raises(InputError, match="two pictures or more"):
        find_standard([conditions()[2]])
