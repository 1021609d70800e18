"""Captions: their words, and the network that reads them, against loops."""

import pytest
import tiny
import torch
from torch import Tensor

from splice.domain.text import LONGEST, TextEncoder, Vocabulary, words_of
from splice.errors import InputError

CAPTIONS = (
    "A red ball, left of the blue box.",
    "The BOX is striped; the ball isn't red",
    "a ball",
)


def encoder(width: int = 6, seed: int = 0) -> TextEncoder:
    vocabulary = Vocabulary.of_captions(CAPTIONS)
    return TextEncoder(vocabulary.size, width, generator=tiny.generator(seed)).double()


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("This bird's wings are BLUE-grey.", ["this", "bird's", "wings", "are", "blue", "grey"]),
        ("eine weiße Blüte; 5 petals", ["eine", "weiße", "blüte", "5", "petals"]),
        ("  --- ", []),
        ("don\u2019t_stop", ["don\u2019t", "stop"]),
    ],
)
def test_words_are_what_is_between_punctuation(caption, words):
    assert words_of(caption) == words


def test_words_are_numbered_by_how_frequent_they_are():
    """Counted by hand; of equals the first in the alphabet comes first."""
    vocabulary = Vocabulary.of_captions(CAPTIONS)
    assert vocabulary.words[:5] == ("ball", "the", "a", "box", "red")
    assert set(vocabulary.words[5:]) == {"left", "of", "blue", "is", "striped", "isn't"}
    assert vocabulary.size == 11 + 2
    assert Vocabulary.of_captions(CAPTIONS, least=3).words == ("ball", "the")


def test_captions_are_numbers_with_nothing_behind_the_last():
    numbers = Vocabulary.of_captions(CAPTIONS).encode(["the green ball", "Box!"])
    assert numbers.tolist() == [[3, 1, 2], [5, 0, 0]]


def test_a_word_that_is_not_known_is_said():
    vocabulary = Vocabulary.of_captions(CAPTIONS)
    assert vocabulary.unknown("a GREEN ball on a green mat") == ["green", "on", "mat"]
    assert vocabulary.unknown("a red ball") == []


def test_long_captions_are_cut():
    numbers = Vocabulary.of_captions(CAPTIONS).encode(["ball " * (LONGEST + 5)])
    assert numbers.shape == (1, LONGEST)


def test_a_vocabulary_comes_back_from_a_file():
    vocabulary = Vocabulary.of_captions(CAPTIONS)
    assert Vocabulary.from_dict(vocabulary.to_dict()) == vocabulary


@pytest.mark.parametrize(
    "values", [{}, {"words": []}, {"words": "ball"}, {"words": ["a", "a"]}, {"words": ["a b"]}]
)
def test_a_damaged_vocabulary_is_said(values):
    with pytest.raises(InputError, match="vocabulary is damaged"):
        Vocabulary.from_dict(values)


def test_captions_without_words_are_said():
    vocabulary = Vocabulary.of_captions(CAPTIONS)
    with pytest.raises(InputError, match=r"caption '\.\.\.' has no words"):
        vocabulary.encode(["a ball", "..."])
    with pytest.raises(InputError, match="no word that is there 9 times"):
        Vocabulary.of_captions(CAPTIONS, least=9)
    with pytest.raises(InputError, match="7 wide"):
        TextEncoder(5, 7, generator=tiny.generator())


def one_way(reader: torch.nn.LSTM, suffix: str, inputs: Tensor) -> Tensor:
    """Hochreiter and Schmidhuber's cell, word by word, with torch's order of gates."""
    of_input, of_state = (getattr(reader, f"weight_{n}_l0{suffix}") for n in ("ih", "hh"))
    bias = getattr(reader, f"bias_ih_l0{suffix}") + getattr(reader, f"bias_hh_l0{suffix}")
    hidden = cell = torch.zeros(reader.hidden_size, dtype=inputs.dtype)
    states = []
    for x in inputs:
        enter, forget, candidate, leave = (of_input @ x + of_state @ hidden + bias).chunk(4)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
        hidden = torch.sigmoid(leave) * torch.tanh(cell)
        states.append(hidden)
    return torch.stack(states)


@torch.no_grad()
def test_reading_is_an_lstm_in_both_directions_that_ends_with_the_caption():
    network, vocabulary = encoder(), Vocabulary.of_captions(CAPTIONS)
    numbers = vocabulary.encode(CAPTIONS)
    read = network(numbers)
    for row, caption in enumerate(CAPTIONS):
        count = len(words_of(caption))
        inputs = network.lookup.weight[numbers[row, :count]]
        onward = one_way(network.reader, "", inputs)
        back = one_way(network.reader, "_reverse", inputs.flip(0)).flip(0)
        words = torch.cat([onward, back], 1)
        torch.testing.assert_close(read.words[row, :count], words, atol=1e-12, rtol=0)
        sentence = torch.cat([onward[-1], back[0]])
        torch.testing.assert_close(read.sentence[row], sentence, atol=1e-12, rtol=0)
        assert read.present[row].tolist() == [n < count for n in range(numbers.shape[1])]
        assert not read.words[row, count:].any()


@torch.no_grad()
def test_a_caption_reads_alike_beside_longer_ones():
    network, vocabulary = encoder(), Vocabulary.of_captions(CAPTIONS)
    together, alone = network(vocabulary.encode(CAPTIONS)), network(vocabulary.encode(["a ball"]))
    torch.testing.assert_close(together.sentence[2:], alone.sentence, atol=1e-12, rtol=0)


def test_the_same_seed_reads_alike_and_everything_is_learnt():
    first, same, other = (
        torch.nn.utils.parameters_to_vector(encoder(seed=seed).parameters()) for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    network = encoder()
    read = network(Vocabulary.of_captions(CAPTIONS).encode(CAPTIONS))
    (read.sentence.square().sum() + read.words.sum()).backward()
    for where, weight in network.named_parameters():
        assert weight.grad is not None, where
        assert weight.grad.abs().max() > 0, where
