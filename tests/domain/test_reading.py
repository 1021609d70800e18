"""Captions against pictures of a batch: which count as wrong, and what of a picture is looked at."""

import math

import pytest
import small_domain
import tiny
import torch

from splice.domain.objective import Seen, see
from splice.domain.parallel import World
from splice.domain.reading import Reader
from splice.domain.training import DomainTraining

CAPTIONS = ("a red ball", "a striped box", "a box, blue", "ball a red")
PICTURES = (5, 2, 5, 7)
"""The first and third captions are of one picture; the first and last say the same."""


def _reader(scenes) -> Reader:
    reader = small_domain.model(scenes, condition="text")[0].reader
    assert reader is not None
    return reader


def _seen(blocks: list[int]) -> Seen:
    images = torch.stack([tiny.picture(tiny.SIDE, tiny.SIDE, seed) for seed in PICTURES])
    return see(images, tiny.frozen(), blocks, tiny.SIDE)


@torch.no_grad()
def test_neither_the_same_words_nor_the_same_picture_are_wrong(scenes):
    """The loss at the level of pictures, written out: 10 times cosines, over those that count."""
    reader, seen = _reader(scenes), _seen([4])
    read = reader.read(CAPTIONS)
    whole = reader.regions(seen.tokens, seen.deepest).whole.double()
    sentence = read.sentence.double()
    scores = [[10 * float(a @ b / (a.norm() * b.norm())) for b in whole] for a in sentence]
    wrong = {0: [1], 1: [0, 2, 3], 2: [1, 3], 3: [1, 2]}
    wanted = 0.0
    for own, others in wrong.items():
        for side in (scores, list(zip(*scores, strict=True))):
            powers = [math.exp(side[own][other]) for other in (own, *others)]
            wanted -= math.log(powers[0] / sum(powers)) / 4
    for losses in (reader.losses, reader.judged):
        found = losses(read, CAPTIONS, PICTURES, seen, World())
        assert float(found["pictures"]) == pytest.approx(wanted, rel=1e-4)


@torch.no_grad()
def test_the_whole_picture_is_what_the_deepest_block_sees_of_it(scenes):
    """Whatever blocks `--terms.cls-depths` compares."""
    reader = _reader(scenes)
    read = reader.read(CAPTIONS)
    deep, shallow = _seen([4]), _seen([1])
    for losses in (reader.losses, reader.judged):
        one, other = (losses(read, CAPTIONS, PICTURES, seen, World()) for seen in (deep, shallow))
        for name, value in one.items():
            assert torch.equal(other[name], value), name
    assert torch.equal(reader.ranks(CAPTIONS, deep), reader.ranks(CAPTIONS, shallow))


@pytest.mark.slow
def test_the_contrast_is_of_the_deepest_block_whatever_is_compared(scenes):
    """In the first step nothing has been learnt yet, so the appearance term alone may differ."""
    found = []
    for depths in ((0.25, 0.5, 1.0), (0.25, 0.5)):
        vit = tiny.frozen()
        changes = {"condition": "text", "text__steps": 0, "terms__contrast": 1.0}
        model, store = small_domain.model(scenes, vit, terms__cls_depths=depths, **changes)
        training = DomainTraining(store, small_domain.neighbours(len(store)), model, vit, World())
        found.append(next(iter(training.steps())).losses)
    names = ("contrast", "words", "sentences", "pictures", "structure", "identity", "pixels")
    for name in names:
        assert float(found[0][name]) == float(found[1][name]), name
    assert float(found[0]["appearance"]) != float(found[1]["appearance"])
