"""Likeness of captions and pictures against loops in float64."""

import math

import pytest
import tiny
import torch
from torch import Tensor, nn

from splice.domain.condition import Condition
from splice.domain.matching import (
    RegionEncoder,
    Regions,
    Temperatures,
    matching_loss,
    matching_losses,
    picture_likeness,
    sentence_likeness,
    word_likeness,
)
from splice.domain.text import TextEncoder, Vocabulary

CAPTIONS, PICTURES, WORDS, PLACES, WIDTH = 3, 3, 4, 5, 6
TEMPERATURES = Temperatures(3.0, 2.0, 7.0)
COUNTS = (4, 2, 1)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=tiny.generator(seed), dtype=torch.float64)


def captions() -> Condition:
    words = drawn(CAPTIONS, WORDS, WIDTH, seed=1)
    present = torch.tensor([[n < count for n in range(WORDS)] for count in COUNTS])
    return Condition(drawn(CAPTIONS, WIDTH, seed=2), words, present)


def regions() -> Regions:
    return Regions(drawn(PICTURES, PLACES, WIDTH, seed=3), drawn(PICTURES, WIDTH, seed=4))


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a.dot(b)) / math.sqrt(float(a.dot(a)) * float(b.dot(b)))


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def words_of_one(words: Tensor, places: Tensor, t: Temperatures) -> float:
    """Xu et al., 2018, section 3.2, of the words of one caption and one picture."""
    count = len(words)
    s = [[float(words[i].dot(places[j])) for j in range(PLACES)] for i in range(count)]
    by_place = [softmax([s[i][j] for i in range(count)]) for j in range(PLACES)]
    total = 0.0
    for i in range(count):
        alpha = softmax([t.regions * by_place[j][i] for j in range(PLACES)])
        context = sum(alpha[j] * places[j] for j in range(PLACES))
        total += math.exp(t.words * cosine(context, words[i]))
    return math.log(total ** (1 / t.words))


def test_words_are_found_as_in_the_paper():
    found = word_likeness(captions(), regions(), TEMPERATURES)
    for q in range(CAPTIONS):
        for p in range(PICTURES):
            words = captions().words[q, : COUNTS[q]]
            wanted = words_of_one(words, regions().places[p], TEMPERATURES)
            assert float(found[q, p]) == pytest.approx(wanted, abs=1e-12)


def test_sentences_look_at_places():
    found = sentence_likeness(captions(), regions(), TEMPERATURES)
    for q in range(CAPTIONS):
        for p in range(PICTURES):
            sentence, places = captions().sentence[q], regions().places[p]
            looks = softmax([TEMPERATURES.regions * cosine(sentence, v) for v in places])
            context = sum(looks[j] * places[j] for j in range(PLACES))
            assert float(found[q, p]) == pytest.approx(cosine(context, sentence), abs=1e-12)


def test_pictures_as_wholes_are_cosines():
    found = picture_likeness(captions(), regions())
    for q in range(CAPTIONS):
        for p in range(PICTURES):
            wanted = cosine(captions().sentence[q], regions().whole[p])
            assert float(found[q, p]) == pytest.approx(wanted, abs=1e-12)


def test_the_loss_is_the_chance_of_the_right_one_from_both_sides():
    likeness = drawn(3, 3, seed=5)
    wanted = 0.0
    for i in range(3):
        row = softmax([7.0 * float(likeness[i, j]) for j in range(3)])
        column = softmax([7.0 * float(likeness[j, i]) for j in range(3)])
        wanted -= (math.log(row[i]) + math.log(column[i])) / 3
    assert float(matching_loss(likeness, 7.0)) == pytest.approx(wanted, abs=1e-12)


def test_others_that_fit_as_well_do_not_count():
    likeness = drawn(3, 3, seed=5)
    alike = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    wanted = 0.0
    for i, others in ((0, [2]), (1, [2]), (2, [0, 1])):
        for side in (likeness, likeness.T):
            chances = softmax([7.0 * float(side[i, j]) for j in [i, *others]])
            wanted -= math.log(chances[0]) / 3
    assert float(matching_loss(likeness, 7.0, alike)) == pytest.approx(wanted, abs=1e-12)


def test_captions_that_are_found_cost_nothing():
    assert float(matching_loss(10 * torch.eye(4), 10.0)) < 1e-6


def test_padding_has_no_gradient_and_none_is_lost():
    told, seen = captions(), regions()
    words = told.words.clone().requires_grad_()
    losses = matching_losses(Condition(told.sentence, words, told.present), seen, TEMPERATURES)
    sum(losses.values()).backward()
    assert words.grad is not None
    assert bool(torch.isfinite(words.grad).all())
    assert not words.grad[~told.present].any()
    assert words.grad[told.present].abs().amin(-1).min() > 0


def test_gradients_are_finite_differences():
    told, seen = captions(), regions()

    def losses(words: Tensor, sentence: Tensor, places: Tensor, whole: Tensor) -> Tensor:
        condition = Condition(sentence, words, told.present)
        found = matching_losses(condition, Regions(places, whole), TEMPERATURES)
        return torch.stack(list(found.values()))

    inputs = (told.words[:, :2], told.sentence, seen.places[:, :2], seen.whole)
    told = Condition(told.sentence, told.words[:, :2], told.present[:, :2])
    assert torch.autograd.gradcheck(losses, [x.clone().requires_grad_() for x in inputs])


@torch.no_grad()
def test_regions_are_linear_maps_of_normalised_tokens():
    network = RegionEncoder(7, WIDTH, generator=tiny.generator()).double()
    tokens, cls = drawn(2, PLACES, 7, seed=6), drawn(2, 7, seed=7)
    found = network(tokens, cls)

    def normal(x: Tensor) -> Tensor:
        return (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()

    for b in range(2):
        whole = network.of_whole.weight @ normal(cls[b])
        torch.testing.assert_close(found.whole[b], whole, atol=1e-12, rtol=0)
        for j in range(PLACES):
            place = network.of_places.weight @ normal(tokens[b, j])
            torch.testing.assert_close(found.places[b, j], place, atol=1e-12, rtol=0)


@pytest.mark.slow
def test_captions_learn_to_find_their_pictures():
    """Pictures of two things among six, each thing a token of its own; half are never learnt from."""
    things = ["ball", "box", "tree", "cat", "moon", "car"]
    random = tiny.generator(1)
    tokens = torch.randn(6, 12, generator=random)
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    lines = [f"a {things[a]} and a {things[b]}" for a, b in pairs]
    patches = torch.stack([tokens[[a, b, a, b]] for a, b in pairs])
    vocabulary = Vocabulary.of_captions(lines)
    reader = TextEncoder(vocabulary.size, 16, generator=random)
    eye = RegionEncoder(12, 16, generator=random)
    optimiser = torch.optim.Adam(nn.ModuleList([reader, eye]).parameters(), lr=5e-3)
    order = torch.randperm(len(pairs), generator=random)
    known, held_out = order[:20], order[20:]
    # Two orders of the same things show the same.
    sets = torch.tensor([[set(a) == set(b) for b in pairs] for a in pairs])

    def losses(which: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        read = reader(vocabulary.encode([lines[i] for i in which.tolist()]))
        seen = eye(patches[which], patches[which].mean(1))
        alike = sets[which][:, which]
        likeness = word_likeness(read, seen, Temperatures())
        return matching_losses(read, seen, Temperatures(), alike), likeness.masked_fill(
            alike & ~torch.eye(len(which), dtype=torch.bool), -1e3
        )

    for _ in range(80):
        some = known[torch.randperm(len(known), generator=random)[:12]]
        optimiser.zero_grad()
        sum(losses(some)[0].values()).backward()
        optimiser.step()
    with torch.no_grad():
        likeness = losses(held_out)[1]
    right = (likeness.argmax(1) == torch.arange(len(held_out))).float().mean()
    assert right > 0.6
