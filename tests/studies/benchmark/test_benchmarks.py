"""Benchmarks: the literal loop is the paper's, steps are sorted and split rightly, races are fair."""

import importlib
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_run
import tiny
import torch
from torch import nn

from splice.backbones.features import self_similarity
from splice.backbones.frozen_vit import FrozenViT
from splice.commands.cli import main
from splice.errors import InputError
from splice.method import objective, painting
from splice.method.generator import UNet
from splice.method.layers import InstanceNorm
from splice.method.transfer import Transfer
from splice.running.presets import load_preset
from splice.studies.benchmark import stopwatch as watches
from splice.studies.benchmark.floor import Floor
from splice.studies.benchmark.literal import (
    ENTIRE_EVERY,
    Extractor,
    LiteralLoop,
    PaperGenerator,
)
from splice.studies.benchmark.peaks import peak_rate
from splice.studies.benchmark.steps import kinds_of, measure
from splice.studies.benchmark.stopwatch import (
    PARTS,
    Call,
    Calls,
    Stopwatch,
    recorded_calls,
    timed_parts,
)
from splice.studies.benchmark.table import as_data, as_text, heading

STRUCTURE, APPEARANCE = tiny.picture(64, 96, seed=1), tiny.picture(72, 60, seed=2)
CPU = torch.device("cpu")


@pytest.fixture
def paper():
    """The paper's loop and its literal transcription, on one pair, with one ViT."""
    model = tiny.standard().requires_grad_(False)
    backbone = tiny.backbone(model)
    settings = load_preset("paper").model_copy(update={"steps": 80})
    transfer = Transfer(STRUCTURE, APPEARANCE, settings, FrozenViT(model, backbone))
    return transfer, LiteralLoop(STRUCTURE, APPEARANCE, model, backbone)


def _transfer(**changes) -> Transfer:
    return Transfer(STRUCTURE, APPEARANCE, tiny.settings(**changes), tiny.frozen())


def _published(**changes) -> Transfer:
    return Transfer(STRUCTURE, APPEARANCE, tiny.paper(**changes), tiny.frozen())


def _drawn(transfer: Transfer, monkeypatch) -> list[Any]:
    """What the method draws from now on, in its order."""
    drawn: list[Any] = []
    draw = transfer.method.draw
    monkeypatch.setattr(
        transfer.method, "draw", lambda *which: drawn.append(draw(*which)) or drawn[-1]
    )
    return drawn


def _layers(network: nn.Module) -> list[nn.Module]:
    kinds = (nn.Conv2d, nn.BatchNorm2d, InstanceNorm)
    return [module for module in network.modules() if isinstance(module, kinds)]


@torch.no_grad()
def _same_weights(ours: UNet, theirs: PaperGenerator) -> None:
    """Random weights for one network, and the same for the other."""
    random = tiny.generator(3)
    for own, other in zip(_layers(ours), _layers(theirs), strict=True):
        shape = own.weight.shape
        own.weight.copy_(torch.randn(shape, generator=random) * 0.3 + (own.weight.ndim == 1))
        other.weight.copy_(own.weight)
        if own.bias is not None:
            own.bias.copy_(torch.randn(own.bias.shape, generator=random) * 0.1)
            other.bias.copy_(own.bias)


@pytest.mark.parametrize("size", [(64, 64), (70, 97)])
def test_the_literal_generator_is_the_paper_presets(size):
    ours, theirs = UNet(), PaperGenerator()
    _same_weights(ours, theirs)
    picture = tiny.picture(*size)[None].double()
    painted = ours.double()(picture)
    assert painted.std() > 0.01
    torch.testing.assert_close(theirs.double()(picture).float(), painted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("step", [0, 1])
def test_literal_losses_are_the_paper_presets_terms(paper, monkeypatch, step):
    transfer, literal = paper
    _same_weights(transfer.learner.network, literal.generator)
    drawn = _drawn(transfer, monkeypatch)
    transfer.step = step
    terms = transfer.losses()
    views = [[target.image[0]] for target in drawn]
    if step == 0:  # the entire pair counts as well
        views[0].append(STRUCTURE)
        views[1].append(APPEARANCE)
    painted = [[literal.generator(view[None])[0] for view in role] for role in views]
    losses = literal.losses(painted[0], views[0], views[1], painted[1])
    assert set(losses) == {"appearance", "structure", "identity"} == set(terms) - {"total"}
    for name, loss in losses.items():
        weighted = literal.weights[name] * loss
        assert float(weighted.detach()) > 1e-4
        torch.testing.assert_close(weighted, terms[name], rtol=1e-4, atol=1e-6)


def test_literal_losses_teach_the_same(paper):
    """The gradient of all three with respect to the pictures."""
    transfer, literal = paper
    target = [transfer.method.entire(role) for role in ("structure", "appearance")]
    painted = [picture.clone().requires_grad_() for picture in (STRUCTURE * 0.9, APPEARANCE * 0.8)]
    terms = transfer.method._terms(*target, lambda inputs: [picture[None] for picture in painted])
    ours = torch.autograd.grad(sum(literal.weights[n] * v for n, v in terms.items()), painted)
    losses = literal.losses(painted[:1], [STRUCTURE], [APPEARANCE], painted[1:])
    theirs = torch.autograd.grad(sum(literal.weights[n] * v for n, v in losses.items()), painted)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(other, own, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("model", [tiny.standard(), tiny.standard(reg_tokens=2), tiny.rotary()])
def test_literal_keys_are_those_of_the_frozen_vit(model):
    extractor = Extractor(model, tiny.backbone(model))
    frozen = tiny.frozen(model)
    last = frozen.blocks
    with torch.no_grad():
        features = frozen(APPEARANCE[None], keys=[last], cls=[last], short_side=224)
        seen = extractor.transform(APPEARANCE)
        torch.testing.assert_close(
            extractor.keys(seen), features.keys[last][0], rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(extractor.cls(seen), features.cls[last][0], rtol=1e-4, atol=1e-4)


def test_calibrated_weights_divide_by_the_values_between_the_pictures(paper):
    transfer, literal = paper
    vit = transfer.full_vit
    calibrated = LiteralLoop(
        STRUCTURE,
        APPEARANCE,
        literal.extractor.vit,
        tiny.backbone(literal.extractor.vit),
        calibrated=True,
    )
    last, squares = vit.blocks, (STRUCTURE[:, :, 16:80], APPEARANCE[:, 6:66])
    with torch.no_grad():
        ours, theirs = (
            vit(square[None], cls=[last], keys=[last], short_side=224) for square in squares
        )
    between = {
        "appearance": objective.appearance_term(ours.cls[last], theirs.cls[last]),
        "structure": objective.structure_term(
            self_similarity(ours.keys[last]), self_similarity(theirs.keys[last])
        ),
        "identity": objective.identity_term(ours.keys[last], theirs.keys[last]),
    }
    for name, value in between.items():
        assert calibrated.weights[name] * float(value) == pytest.approx(1, rel=1e-3)


@pytest.mark.slow
def test_the_literal_loop_learns(paper):
    _, literal = paper

    def error() -> float:
        painted = [literal.generator(picture[None])[0] for picture in (STRUCTURE, APPEARANCE)]
        losses = literal.losses(painted[:1], [STRUCTURE], [APPEARANCE], painted[1:])
        return sum(literal.weights[name] * float(value) for name, value in losses.items())

    with torch.no_grad():
        before = error()
        with torch.enable_grad():
            for _ in range(20):
                literal.step()
        assert error() < 0.95 * before
    assert literal.done == 20
    picture = literal.eight_bits()
    assert picture.shape == (64, 96, 3)
    assert abs(picture / 255 - literal.picture().permute(1, 2, 0).numpy()).max() < 0.5 / 255 + 1e-6


def test_the_literal_views_are_parts_of_their_pictures(paper):
    _, literal = paper
    for _ in range(20):
        view = literal.appearance_view()
        side = view.shape[1]
        assert view.shape == (3, side, side)
        assert round(0.95 * 60) <= side <= 60
        windows = APPEARANCE.unfold(1, side, 1).unfold(2, side, 1)
        found = [
            (windows == each[:, None, None]).all(-1).all(-1).all(0).any()
            for each in (view, view.flip(-1))
        ]
        assert any(found)
        assert literal.structure_view().shape[1] <= 64


def test_a_whole_view_costs_the_literal_loop_what_the_entire_pair_does(paper):
    """Every 75th step has the entire pair as well."""
    _, literal = paper
    counted = []
    literal.extractor.vit.register_forward_hook(lambda *call: None)
    forward = literal.extractor.vit.forward_features

    def count(images):
        counted[-1].append(torch.is_grad_enabled())
        return forward(images)

    literal.extractor.vit.forward_features = count
    for done in (1, ENTIRE_EVERY):
        literal.done = done
        counted.append([])
        literal.step()
    assert sorted(counted[0]) == [False] * 3 + [True] * 3
    assert sorted(counted[1]) == [False] * 6 + [True] * 6


def test_kinds_cover_every_step_once():
    """The generator learns alone first; then the transformer sees what it paints."""
    transfer = _transfer(steps=20, seen={"since": 0.1})
    kinds = {kind.name: kind.steps for kind in kinds_of(transfer)}
    assert kinds == {"lesson": [0, 1], "seen": list(range(2, 20))}
    assert transfer.step == 0
    alike = _transfer(steps=20, seen={"since": 0.0})
    assert [kind.steps for kind in kinds_of(alike)] == [list(range(20))]
    assert kinds_of(_transfer(steps=0)) == []


def test_kinds_of_the_published_method_cover_every_step_once():
    entire, views = kinds_of(_published(steps=160))
    assert entire.steps == [0, 75, 150]
    assert views.steps == sorted(set(range(160)) - {0, 75, 150})
    assert "entire" in entire.name and "entire" not in views.name


def test_one_part_runs_at_a_time(monkeypatch):
    clock = iter([0, 1, 3, 7, 15])
    monkeypatch.setattr(watches.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch(CPU)
    watch.switch("terms_forward")
    watch.enter("views")
    watch.enter("vit_without_gradient")
    watch.leave()
    watch.switch(None)
    seconds = {part: value for part, value in watch.seconds.items() if value}
    assert seconds == {"terms_forward": 1, "views": 2 + 8, "vit_without_gradient": 4}


def _sequence(transfer: Transfer, step: int, monkeypatch) -> list[str]:
    """The parts of a step in their order, each once for a stretch."""
    order: list[str | None] = []
    switch = Stopwatch.switch
    monkeypatch.setattr(
        Stopwatch, "switch", lambda self, part: order.append(part) or switch(self, part)
    )
    next(transfer.steps())  # what is found once is found now
    order.clear()
    transfer.step = step
    with timed_parts(transfer) as watch:
        next(transfer.steps())
    assert set(watch.seconds) == set(PARTS)
    assert all(value >= 0 for value in watch.seconds.values())
    kept = [part for part, after in zip(order, [*order[1:], None], strict=True) if part != after]
    return [part for part in kept if part is not None]


BACKWARD = ["terms_backward", "vit_backward", "terms_backward", "generator_backward", "optimiser"]


def test_parts_of_a_step_follow_each_other(monkeypatch):
    """Nothing is seen without gradient: what is wanted was found before."""
    order = _sequence(_transfer(seen={"since": 0}), 1, monkeypatch)
    assert order == [
        # The lesson, then the output.
        *("terms_forward", "generator_forward", "terms_forward", "generator_forward"),
        *("terms_forward", "views", "terms_forward", "vit_forward", "terms_forward"),
        *BACKWARD,
    ]


def test_parts_of_a_step_of_the_published_method_follow_each_other(monkeypatch):
    """Every step has new views, which are seen first; the paintings of both go in one pass."""
    order = _sequence(_published(), 1, monkeypatch)
    forward = order[: order.index("terms_backward")]
    view = ["views", "vit_without_gradient", "views", "terms_forward"]
    # The two pictures' views are of different sizes, so the generator has a pass for each.
    painted = ["generator_forward", "terms_forward"] * 2
    assert forward == ["terms_forward", *view * 2, *painted, "vit_forward", "terms_forward"]
    assert order[len(forward) :] == BACKWARD


def test_watching_leaves_no_trace(monkeypatch):
    transfer, other = _transfer(), _transfer()
    _sequence(transfer, 1, monkeypatch)
    next(other.steps())
    next(other.steps())
    for own, weight in zip(
        transfer.learner.network.parameters(), other.learner.network.parameters(), strict=True
    ):
        torch.testing.assert_close(own, weight, rtol=0, atol=0)
    for module in (transfer.learner.network, transfer.method.vit):
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert "draw" not in vars(transfer.method)
    assert "learn" not in vars(transfer.learner)


def test_calls_are_those_with_gradient(monkeypatch):
    monkeypatch.setattr(painting, "SHARES", (1.0, 1.0))
    transfer = _transfer(seen={"since": 0})
    next(transfer.steps())
    drawn = _drawn(transfer, monkeypatch)
    with recorded_calls(transfer) as calls:
        next(transfer.steps())
    [look] = drawn
    # Codes, four maps of detail, three of noise, and colours: of a piece of the appearance image, and
    # of the picture.
    lesson, output = (call.shape for call in calls.generator)
    height, width = transfer.structure.shape[-2:]
    channels = transfer.method.ground.lesson.addresses.shape[1] + 4 + 3 + 3
    assert output == (1, channels, height, width)
    assert lesson[:2] == (1, channels)
    assert [call.shape for call in calls.vit] == [(1, 3, look.view.height, look.view.width)]
    wanted = calls.vit[0].wanted
    assert wanted["short_side"] == look.short_side
    assert set(wanted["keys"]) == {tiny.BLOCKS}


def test_calls_of_the_published_method_are_those_with_gradient(monkeypatch):
    transfer = _published()
    transfer.step = 1  # without the entire pair
    drawn = _drawn(transfer, monkeypatch)
    with recorded_calls(transfer) as calls:
        next(transfer.steps())
    # A square of each picture through the generator, both at 56 px through the ViT, as one batch.
    assert [call.shape for call in calls.generator] == [tuple(each.image.shape) for each in drawn]
    assert [call.shape for call in calls.vit] == [(2, 3, 56, 56)]


def test_the_floor_changes_nothing():
    transfer = _transfer()
    with recorded_calls(transfer) as calls:
        next(transfer.steps())
    before = {name: value for name, value in transfer.state().items() if "weight" in name}
    Floor(transfer).prepare(calls)()
    after = transfer.state()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_operations_of_the_vit_are_what_its_matrices_take():
    transfer = _transfer()
    tokens, width = (tiny.SIDE // tiny.PATCH) ** 2 + 1, tiny.WIDTH
    wanted = {"tokens": {tiny.BLOCKS}, "short_side": None}
    calls = Calls(vit=[Call((1, 3, tiny.SIDE, tiny.SIDE), wanted)])
    embedding = 2 * (tokens - 1) * 3 * tiny.PATCH**2 * width
    linear = 2 * tokens * width * (3 + 1 + 4 + 4) * width
    attention = 2 * 2 * tokens**2 * width
    # Back through a frozen matrix costs as much as forward, back through attention twice as much.
    expected = 2 * embedding + tiny.BLOCKS * (2 * linear + 3 * attention)
    assert Floor(transfer).operations(calls)["vit"] == expected


@pytest.mark.parametrize("corrected", [False, True])
def test_operations_of_the_generator_are_what_its_convolutions_take(corrected):
    transfer = _transfer()
    size = (1, transfer.learner.network.inputs, 64, 64)
    found = Floor(transfer).operations(Calls(generator=[Call(size, corrected=corrected)]))
    forward, first = 0, 0
    made = []

    def note(module, inputs, output):
        made.append((module, inputs[0].shape, output.shape))

    convolutions = [m for m in transfer.learner.network.modules() if isinstance(m, nn.Conv2d)]
    hooks = [module.register_forward_hook(note) for module in convolutions]
    with torch.no_grad():
        transfer.learner.network(torch.zeros(size))
    for hook in hooks:
        hook.remove()
    for module, entering, leaving in made:
        count = 2 * module.weight.numel() * leaving[-2:].numel()
        forward += count
        # The network's own input needs one only if corrected: its first convolution and first skip.
        own = entering[1] == transfer.learner.network.inputs
        first += count if own and not corrected else 0
    assert found["generator"] == 3 * forward - first


@pytest.mark.slow
def test_a_measurement_adds_up():
    transfer = _transfer(steps=4)
    model = tiny.standard().requires_grad_(False)

    def literal() -> LiteralLoop:
        return LiteralLoop(STRUCTURE, APPEARANCE, model, tiny.backbone(model))

    told = []
    found = measure(
        lambda: transfer, literal, rounds=2, tell=lambda done, rounds: told.append((done, rounds))
    )
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert sum(kind["steps"] for kind in found.kinds) == 4
    mean = sum(kind["steps"] * kind["step_seconds"] for kind in found.kinds) / 4
    assert found.step_seconds == pytest.approx(mean)
    assert [kind["name"] for kind in found.kinds] == ["lesson", "seen"]
    floor = sum(kind["steps"] * kind["floor_seconds"] for kind in found.kinds) / 4
    assert found.floor_seconds == pytest.approx(floor)
    assert found.output == (96, 64)
    assert found.literal_seconds is not None
    assert all(value >= 0 for value in found.parts.values())
    assert all(found.parts[part] > 0 for part in ("vit_backward", "generator_backward"))
    data = json.loads(json.dumps(as_data(found, {})))
    assert data["step_over_floor"] == pytest.approx(data["step_seconds"] / data["floor_seconds"])
    text = as_text(found)
    assert f"{1000 * found.step_seconds:,.1f} ms" in text
    assert "% of the chip" not in text
    assert "96 x 64 px" in heading(found, "tiny", "default")
    known = replace(found, device={"type": "cuda", "name": "X"}, peak_share=None)
    assert "not known" in as_text(known)


@pytest.mark.parametrize(
    ("name", "dtype", "tf32", "rate"),
    [
        ("NVIDIA H100 80GB HBM3", torch.bfloat16, False, 989e12),
        ("NVIDIA H100 PCIe", torch.bfloat16, False, 756e12),
        ("NVIDIA A100-SXM4-80GB", torch.float32, False, 19.5e12),
        ("NVIDIA A100-SXM4-80GB", torch.float32, True, 156e12),
        ("Tesla T4", torch.float16, False, 65e12),
        ("Tesla T4", torch.bfloat16, False, None),
        ("NVIDIA L40", torch.bfloat16, False, None),
        ("GeForce 9999", torch.bfloat16, False, None),
    ],
)
def test_peaks_are_found_by_the_words_of_a_name(name, dtype, tf32, rate):
    assert peak_rate(name, dtype, tf32=tf32) == rate


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_run.make(tmp_path_factory.mktemp("small"))


@pytest.mark.slow
def test_the_command_measures_and_writes(small, tmp_path, capsys):
    file = tmp_path / "step.json"
    options = ["--rounds=1", "--against=literal", f"--json={file}", "--operators=3", "--steps=4"]
    assert main(["bench", *small.arguments, *options, "--quiet"]) == 0
    printed = capsys.readouterr().out
    for line in ("whole step", "step / floor", "literal / step", "peak memory", "Self CPU"):
        assert line in printed
    data = json.loads(file.read_text())
    for key in ("step_seconds", "floor_seconds", "literal_seconds"):
        assert 0 < data[key] < 60
    assert data["settings"]["size"] == 64
    assert data["device"]["type"] == "cpu"
    assert data["parts"].keys() == PARTS.keys()


def test_the_command_takes_noise_where_there_is_no_sample(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("splice.commands.bench.sample_pair", lambda: None)
    file = tmp_path / "step.json"
    options = ["--rounds=1", f"--json={file}", "--steps=2", "--quiet"]
    assert main(["bench", *small.options, *options]) == 0
    data = json.loads(file.read_text())
    assert data["literal_seconds"] is None
    assert data["output"] == [85, 64]
    assert "literal" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one.png"], "give a structure image and an appearance image"),
        (["--against=paper"], "--against cannot be paper"),
        (["--rounds=0"], "--rounds"),
        (["--json=/nowhere/x.json"], "there is no folder"),
        (["--preset=quick"], "--steps is 0, and there is no step to measure"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(arguments, words, capsys):
    assert main(["bench", *arguments]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


# Time to quality.


@pytest.fixture
def quality(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    sys.modules.pop("time_to_quality", None)
    return pytest.importorskip("time_to_quality")


@pytest.fixture
def racing(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    return importlib.import_module("race")


class FakeLoop:
    """Paints a picture of one number, that falls by a share at each step, on a clock of its own."""

    def __init__(self, clock: list[float], seconds: float, share: float, last: int) -> None:
        self.clock, self.seconds, self.share, self.last = clock, seconds, share, last
        self.value, self.done = 1.0, 0

    def step(self) -> bool:
        if self.done == self.last:
            return False
        self.clock[0] += self.seconds
        self.value *= self.share
        self.done += 1
        return True

    def picture(self) -> torch.Tensor:
        self.clock[0] += 1000  # painting does not count
        return torch.tensor(self.value)


def _race(racing, *loops, levels, limit=1e9):
    clock = [0.0]
    contestants = []
    for number, (preparing, *rest) in enumerate(loops):

        def prepare(preparing=preparing, rest=rest):
            clock[0] += preparing
            return FakeLoop(clock, *rest)

        contestants.append(racing.Contestant(str(number), prepare))
    judge = lambda picture: {"self_sim": float(picture), "dino_i": 1 - float(picture)}  # noqa: E731
    racing.race(
        contestants, judge, levels, limit=limit, every=0.0, device=CPU, now=lambda: clock[0]
    )
    return contestants


def test_a_race_tells_when_each_level_was_reached(racing):
    levels = {"self_sim": 0.3, "dino_i": 0.9}
    fast, slow = _race(racing, (5.0, 2.0, 0.5, 100), (0.0, 10.0, 0.9, 100), levels=levels)
    # 0.5 ** 2 <= 0.3 and 0.5 ** 4 <= 0.1; 0.9 ** 12 <= 0.3 and 0.9 ** 22 <= 0.1.
    assert fast.reached == {"self_sim": (9.0, 2), "dino_i": (13.0, 4), racing.ALL: (13.0, 4)}
    assert slow.reached == {
        "self_sim": (120.0, 12),
        "dino_i": (220.0, 22),
        racing.ALL: (220.0, 22),
    }
    text = racing.table([fast, slow], levels)
    assert "| self_sim ≤ 0.3 | 9.0 s (step 2) | 120.0 s (step 12) |" in text
    assert "| dino_i ≥ 0.9 | 13.0 s (step 4) | 220.0 s (step 22) |" in text


def test_a_race_ends_with_the_steps_or_the_limit(racing):
    ended, stopped = _race(
        racing,
        (0.0, 1.0, 0.9, 10),
        (0.0, 1.0, 0.9, 1000),
        levels={"self_sim": 0.0},
        limit=30.0,
    )
    assert (ended.steps, stopped.steps) == (10, 30)
    assert not ended.reached
    assert ended.best["self_sim"] == pytest.approx(0.9**10)
    assert "not reached; best" in racing.table([ended, stopped], {"self_sim": 0.0})


def test_a_contestant_without_steps_is_scored_as_it_starts(racing):
    """A preset of no steps has a picture, too."""
    still, other = _race(
        racing, (5.0, 1.0, 0.5, 0), (0.0, 1.0, 0.5, 3), levels={"self_sim": 1.0, "dino_i": 0.5}
    )
    assert still.reached == {"self_sim": (5.0, 0)}
    assert (still.steps, still.best["dino_i"]) == (0, 0.0)
    assert other.reached["dino_i"] == (1.0, 1)  # before its first step it is not scored


def test_turns_go_to_the_one_with_least_time(racing):
    quick, slow = _race(
        racing,
        (0.0, 1.0, 0.99, 10_000),
        (0.0, 7.0, 0.99, 10_000),
        levels={"self_sim": 0.0},
        limit=700.0,
    )
    assert (quick.steps, slow.steps) == (700, 100)


def test_levels_come_from_a_picture_or_from_numbers(quality, tmp_path):
    judge = lambda picture: {"self_sim": float(picture.mean()), "colour": 0.5}  # noqa: E731
    from splice.pictures.images import write_image

    target = tmp_path / "target.png"
    write_image(target, torch.full((3, 32, 32), 1.0))
    assert quality.read_levels((), target, judge) == {"self_sim": 1.0, "colour": 0.5}
    assert quality.read_levels(("colour=0.1", "dino_i=0.9"), target, judge) == {
        "self_sim": 1.0,
        "dino_i": 0.9,
        "colour": 0.1,
    }
    for wrong in ((), ("layout=1",), ("colour",), ("colour=red",)):
        with pytest.raises(InputError, match="level"):
            quality.read_levels(wrong, None, judge)


@pytest.mark.slow
def test_a_whole_race_of_real_loops(quality, small, tmp_path, capsys, monkeypatch):
    preset = tmp_path / "small.yaml"
    preset.write_text(
        f"backbone: timm:test_vit\nweights: {small.weights}\nsteps: 3\n"
        "seen: {short_side: 64}\n"
        "meaning: {short_side: 64, channels: 8}\ntones: {parts: 6}\n"
    )
    clock = itertools.count(0.0, 0.25)  # so long does every turn seem to take
    monkeypatch.setitem(quality.CLOCKS, "wall", lambda: next(clock))
    file = tmp_path / "race.json"
    options = quality.Options(
        small.structure,
        small.appearance,
        levels=("self_sim=4", "colour=0"),
        preset=str(preset),
        steps=(2, 3),
        limit_seconds=3.0,
        size=64,
        device="cpu",
        save=tmp_path / "pictures",
        json=file,
    )
    quality.main(options)
    data = json.loads(file.read_text())
    assert len(data["contestants"]) == 3
    # A turn prepares, a last one of ours finds no step left, and twelve turns make three seconds.
    assert [each["steps"] for each in data["contestants"]] == [2, 3, 11]
    for each in data["contestants"]:
        assert "self_sim" in each["reached"]
        assert "colour" not in each["reached"]
        assert each["curve"][-1]["steps"] == each["steps"]
    assert len(list((tmp_path / "pictures").iterdir())) == 3
    assert "not reached; best" in capsys.readouterr().out


def test_losses_are_means_over_nothing_but_their_pictures():
    """Twice the same picture is twice the loss: the literal losses are sums over pictures."""
    model = tiny.standard().requires_grad_(False)
    extractor = Extractor(model, tiny.backbone(model))
    one = extractor.loss(extractor.cls, [STRUCTURE], [APPEARANCE])
    two = extractor.loss(extractor.cls, [STRUCTURE] * 2, [APPEARANCE] * 2)
    torch.testing.assert_close(two, 2 * one)
