"""The training of a domain: what is drawn, killed and resumed, shared by processes."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_domain
import small_run
import tiny
import torch

from splice.domain.batches import draw_captioned, draw_pairs
from splice.domain.learner import factor_at
from splice.domain.objective import pixel_term
from splice.domain.parallel import World
from splice.domain.sights import Sights
from splice.domain.training import DomainTraining
from splice.errors import InputError

MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> small_domain.SmallDomain:
    return small_domain.make(tmp_path_factory.mktemp("domain"))


def _training(small, **changes) -> DomainTraining:
    vit = tiny.frozen()
    model, store = small_domain.model(small.folder, vit, **changes)
    return DomainTraining(store, small_domain.neighbours(len(store)), model, vit, World())


def test_a_share_of_a_batch_is_what_the_whole_batch_has_there(small):
    _, store = small_domain.model(small.folder)
    neighbours = small_domain.neighbours(len(store))
    whole = draw_pairs(store, neighbours, 0, 7, range(4))
    part = draw_pairs(store, neighbours, 0, 7, range(2, 4))
    assert torch.equal(part.structure, whole.structure[2:])
    assert torch.equal(part.appearance, whole.appearance[2:])
    assert torch.equal(part.others, whole.others[2:])
    assert torch.equal(part.disguised, whole.disguised[2:])
    assert part.captions == whole.captions[2:]
    assert not torch.equal(whole.structure, draw_pairs(store, neighbours, 0, 8, range(4)).structure)
    assert not torch.equal(whole.structure, draw_pairs(store, neighbours, 1, 7, range(4)).structure)


def test_captions_are_those_of_the_pictures_that_are_drawn(small):
    _, store = small_domain.model(small.folder)
    neighbours = small_domain.neighbours(len(store))
    of_caption = {
        text: index for index, each in enumerate(store.pictures) for text in each.captions
    }
    pairs = draw_pairs(store, neighbours, 3, 0, range(12))
    assert pairs.pictures == tuple(of_caption[caption] for caption in pairs.captions)
    for index in range(12):
        same = of_caption[pairs.captions[index]] == of_caption[pairs.other_captions[index]]
        assert same == bool(pairs.same[index])
        if same:
            assert pairs.captions[index] != pairs.other_captions[index]
    assert 0 < int(pairs.same.sum()) < 12
    indices, captions = draw_captioned(store, [1, 2], 3, 0, range(12))
    assert set(indices) == {1, 2}
    assert [of_caption[caption] for caption in captions] == indices
    for index in (1, 2):  # not always the same of its three
        assert len({text for text in captions if of_caption[text] == index}) > 1


def test_what_is_seen_in_a_picture_does_not_depend_on_the_others(small):
    _, store = small_domain.model(small.folder)
    vit = tiny.frozen()
    sights = Sights(store, vit, tiny.SIDE)
    seen = sights[[3, 0, 3]]
    forgetful = Sights(store, vit, tiny.SIDE, kept_bytes=0)[[3]]
    for row, index in enumerate((3, 0, 3)):
        features = vit(store.middle(index)[None], cls=[4], tokens=[4], short_side=tiny.SIDE)
        assert torch.equal(seen.tokens[row], features.tokens[4][0])
        assert torch.equal(seen.cls[0][row], features.cls[4][0])
    assert torch.equal(forgetful.tokens[0], seen.tokens[0])


def test_what_is_kept_of_what_was_seen_takes_what_is_counted(small):
    _, store = small_domain.model(small.folder)
    counted = 4 * tiny.WIDTH * (1 + (tiny.SIDE // tiny.PATCH) ** 2)  # [CLS] and patches, float32
    sights = Sights(store, tiny.frozen(), tiny.SIDE, kept_bytes=counted)
    one, two = sights._of(0), sights._of(1)
    assert sights._of(0) is one
    assert sights._of(1) is not two  # there was room for one
    storages = {
        each.untyped_storage().data_ptr(): each.untyped_storage().nbytes()
        for each in (*one.cls, one.keys, one.tokens, one.deepest)
    }
    assert sum(storages.values()) <= counted


def test_the_step_size_rises_stays_and_falls():
    assert factor_at(0.0, 0, 4) == 0.25
    assert factor_at(0.01, 3, 4) == factor_at(0.59, 50, 4) == 1.0
    assert abs(factor_at(0.8, 80, 4) - (0.05 + 0.95 * 0.5)) < 1e-12
    assert abs(factor_at(1.0, 100, 4) - 0.05) < 1e-12
    assert factor_at(0.0, 0, 0) == 1.0


@pytest.mark.slow
def test_a_network_learns_to_see_through_disguises(small):
    alone = {"terms__appearance": 0.0, "terms__structure": 0.0, "terms__identity": 0.0}
    training = _training(small, steps=120, learning_rate=4e-3, warm_up=0, **alone)
    losses = [float(step.losses["pixels"]) for step in training.steps()]
    assert sum(losses[-20:]) < 0.65 * sum(losses[:20])


@pytest.mark.slow
def test_painting_starts_from_the_structure_picture_and_from_the_disguise(small):
    """Shapes are right at once, looks are not, and a disguise is as far from its picture as it is."""
    training = _training(small, steps=1, learning_rate=1e-12)
    with torch.no_grad():
        training.model.network.colours.weight.zero_()
    (step,) = training.steps()
    terms, seed = training.settings.terms, training.settings.seed
    assert float(step.losses["structure"]) < 0.01 * terms.structure
    assert float(step.losses["appearance"]) > 0.5 * terms.appearance
    batch = range(training.settings.batch)
    pairs = draw_pairs(training.store, training.neighbours, seed, 0, batch)
    wanted = float(pixel_term(pairs.disguised.clamp(0.02, 0.98), pairs.appearance))
    keys = [
        training.vit(images, keys=[4], short_side=training.settings.seen, long_side=None).keys[4]
        for images in (pairs.disguised.clamp(0.02, 0.98), pairs.structure, pairs.appearance)
    ]
    one, s, t = (each.double().flatten(1) for each in keys)
    scale = ((s - t) ** 2).mean(1).clamp_min(0.5 * float(training.usual().keys))
    identity = float((((one - t) ** 2).mean(1) / scale).mean())
    assert float(step.losses["identity"]) == pytest.approx(terms.identity * identity, rel=1e-3)
    assert float(step.losses["pixels"]) == pytest.approx(terms.pixels * wanted, rel=1e-3)


@pytest.mark.parametrize("condition", ["cls", "parts", "text"])
@pytest.mark.slow
def test_a_run_goes_on_from_its_state_as_if_nothing_had_happened(small, condition):
    changes = {
        "condition": condition,
        "steps": 4,
        "terms__contrast": 0.5,
        "text__joint": condition == "text",
    }
    whole, begun, resumed = (_training(small, **changes) for _ in range(3))
    expected = [step.losses["total"] for step in whole.steps()]
    steps = begun.steps()
    for _ in range(begun.first + 2):
        next(steps)
    state = begun.state()
    if condition == "parts":
        del state["usual deepest"]  # as an earlier version's is
    resumed.restore(state)
    found = [step.losses["total"] for step in resumed.steps()]
    assert len(found) == 2
    assert found == expected[-2:]
    for one, other in zip(whole.learner.average, resumed.learner.average, strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_weights_of_terms_scale_them_and_nothing_else(small):
    """At the first step, so that nothing has been learnt from either yet."""

    def first(**changes) -> dict[str, float]:
        step = next(iter(_training(small, steps=1, terms__contrast=1.0, **changes).steps()))
        return {name: float(value) for name, value in step.losses.items()}

    plain = first(terms__structure=1.5)
    heavy = first(terms__structure=4.5)
    assert abs(heavy["structure"] - 3 * plain["structure"]) < 1e-5 * heavy["structure"]
    for name in ("appearance", "identity", "pixels", "contrast"):
        assert heavy[name] == plain[name]
    parts = sum(value for name, value in plain.items() if name != "total")
    assert abs(parts - plain["total"]) < 1e-5
    assert "structure" not in first(terms__structure=0)


def test_a_batch_that_cannot_be_shared_is_refused(small):
    vit = tiny.frozen()
    model, store = small_domain.model(small.folder, vit, batch=3)
    with pytest.raises(InputError, match="--batch 3 cannot be shared by 2 processes"):
        DomainTraining(store, small_domain.neighbours(len(store)), model, vit, World(0, 2))
    model, store = small_domain.model(small.folder, vit, condition="text", text__batch=5)
    with pytest.raises(InputError, match=r"--text\.batch 5 cannot be shared by 2 processes"):
        DomainTraining(store, small_domain.neighbours(len(store)), model, vit, World(0, 2))


# Whole processes.


def _train(small, folder: Path, *options: str, torchrun: int = 0) -> subprocess.Popen:
    start = [sys.executable, "-m"]
    if torchrun:
        start += ["torch.distributed.run", "--standalone", f"--nproc-per-node={torchrun}", "-m"]
    command = [*start, "splice", "train", *small.options, f"--output={folder}", *options]
    log = folder.parent / f"{folder.name}.log"
    with log.open("ab") as printed:
        return subprocess.Popen(
            command, stdout=printed, stderr=printed, env=small_run.environment()
        )


def _finished(process: subprocess.Popen, folder: Path) -> None:
    status = process.wait(timeout=540)
    assert status == 0, (folder.parent / f"{folder.name}.log").read_text()


def _losses(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.robustness
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX signals")
def test_killed_and_resumed_the_model_is_the_same_byte_for_byte(small, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = ("--condition=text", "--layer=spatial", "--text.joint=true", "--steps=8")
    _finished(_train(small, whole, *options), whole)
    process = _train(small, killed, *options, "--checkpoint-every=0")
    seen: set[int] = set()
    patience = time.monotonic() + 300
    # Three checkpoints into the run.
    while len(seen) < 4 and process.poll() is None and time.monotonic() < patience:
        if (killed / CHECKPOINT).exists():
            seen.add((killed / CHECKPOINT).stat().st_mtime_ns)
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (killed / CHECKPOINT).exists()
    _finished(_train(small, killed, *options, "--resume"), killed)
    assert (killed / MODEL).read_bytes() == (whole / MODEL).read_bytes()
    assert (killed / "previews.png").read_bytes() == (whole / "previews.png").read_bytes()
    assert not (killed / CHECKPOINT).exists()
    record = json.loads((killed / "run.json").read_text())
    assert record["resumed"] == 1
    assert record["finished"]
    for one, other in zip(_losses(whole), _losses(killed), strict=True):
        assert one["total"] == other["total"]


@pytest.mark.slow
def test_two_processes_learn_as_one_with_the_joint_batch(small, tmp_path):
    """All that processes share: the network, the reader, captions that find each other's pictures."""
    options = ("--condition=text", "--text.joint=true", "--terms.contrast=0.5", "--steps=5")
    # Where almost nothing is wrong yet, rounding is enlarged, the more the larger steps are.
    options = (*options, "--learning-rate=1e-4")
    one, two = tmp_path / "one", tmp_path / "two"
    _finished(_train(small, one, *options), one)
    _finished(_train(small, two, *options, torchrun=2), two)
    rows = list(zip(_losses(one), _losses(two), strict=True))
    assert len(rows) == 8  # three steps of reading, five of painting
    for alone, together in rows:
        for name, value in alone.items():
            if name not in ("step", "seconds", "skipped", "precision") and value:
                difference = abs(float(value) - float(together[name]))
                assert difference < 1e-3 * abs(float(value)) + 1e-6, (alone["step"], name)
    assert json.loads((two / "run.json").read_text())["processes"] == 2
