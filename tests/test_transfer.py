"""The loop of one pair: its sum against the formulas, its promises about steps and states."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from splice import objective
from splice.detail import detail_term
from splice.errors import InputError, RunError
from splice.features import FrozenViT, self_similarity
from splice.patch_grid import resize_to_patches
from splice.precision import precision_of
from splice.presets import load_preset
from splice.scales import Levels
from splice.settings import Settings
from splice.terms import Term
from splice.transfer import TERMS, Transfer
from splice.views import View, entire

STRUCTURE, APPEARANCE = tiny.picture(56, 66, 1), tiny.picture(60, 50, 2)


@pytest.fixture(scope="module")
def vit() -> FrozenViT:
    return tiny.frozen()


def constant(**weights: float) -> dict[str, dict[str, Any]]:
    """An objective of these terms, at all steps alike."""
    always = {"schedule": tiny.CONSTANT, "every": 1, "first": 0}
    return {name: {"weight": weights.get(name, 0.0), **always} for name in TERMS}


def make(
    vit: FrozenViT, settings: Settings | None = None, pair=(STRUCTURE, APPEARANCE)
) -> Transfer:
    return Transfer(*pair, settings or tiny.settings(), vit)


def luma(image: Tensor) -> Tensor:
    return torch.tensordot(torch.tensor([0.299, 0.587, 0.114]), image, ([0], [1]))[:, None]


def run(transfer: Transfer) -> list:
    return list(transfer.steps())


def paper() -> Settings:
    changes = {"seen.short_side": 56, "seen.long_side": 112}
    return load_preset("paper", changes)


def test_the_papers_preset_is_the_papers_formula(vit):
    """L = L_app + 0.1 L_structure + 0.1 L_id (Splice, eq. 2-5), every loss on features of its own."""
    transfer, twin = make(vit, paper()), make(vit, paper())
    last, network = vit.blocks, twin.painter.network

    def seen(image: Tensor) -> Tensor:
        return resize_to_patches(image, vit.patch, 56, 112)

    def cls(image: Tensor) -> Tensor:
        return vit(seen(image), cls=[last], short_side=None).cls[last]

    def keys(image: Tensor) -> Tensor:
        return vit(seen(image), keys=[last], short_side=None).keys[last]

    def similarity(image: Tensor) -> Tensor:
        unit = keys(image)[0] / keys(image)[0].norm(dim=-1, keepdim=True)
        return unit @ unit.T

    def formula(structure: Tensor, appearance: Tensor) -> Tensor:
        output, reconstruction = network(structure), network(appearance)
        l_app = ((cls(appearance) - cls(output)) ** 2).mean()
        l_structure = ((similarity(structure) - similarity(output)) ** 2).mean()
        l_id = ((keys(appearance) - keys(reconstruction)) ** 2).mean()
        return l_app + 0.1 * l_structure + 0.1 * l_id

    for step in (0, 1, 74, 75, 150):
        transfer.step = step
        total = transfer.losses()["total"]
        structure, appearance = (
            twin.targets.draw(role).image for role in ("structure", "appearance")
        )
        expected = formula(structure, appearance)
        if step % 75 == 0:  # the entire pair as well, without other colours
            expected = expected + formula(STRUCTURE[None], APPEARANCE[None])
        assert total.item() == pytest.approx(expected.item(), rel=5e-7, abs=0)
        gradients = []
        for loss, painter in ((total, transfer.painter), (expected, twin.painter)):
            painter.network.zero_grad()
            loss.backward()
            gradients.append(painter.network.colours.weight.grad)
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-9)


def test_the_papers_preset_learns_as_the_paper_does(vit):
    for step in (0, 1000, 1999):
        transfer = make(vit, paper())
        transfer.step = step
        before = [weight.clone() for weight in transfer.painter.network.parameters()]
        assert next(transfer.steps()).precision == "float32"
        # The first step of Adam goes as far as the step size, whatever the gradient (unless tiny).
        now = transfer.painter.network.parameters()
        moves = [float((a - b).detach().abs().max()) for a, b in zip(now, before, strict=True)]
        assert max(moves) == pytest.approx(0.002, rel=1e-3)
    for average, weight in zip(
        transfer.painter.average, transfer.painter.network.parameters(), strict=True
    ):
        assert torch.equal(average, weight)
    assert transfer.settings.steps == 2000
    assert transfer.painter.network.inputs == 3


def test_the_sum_of_all_terms_on_the_same_views(vit):
    """Each term put together anew from what a twin of the loop draws."""
    settings = tiny.settings(views={"pool": 0, "crop": 0.5, "jitter": 0.5})
    transfer, twin = make(vit, settings), make(vit, settings)
    last = vit.blocks
    for step in (0, 1, 2, 5):
        transfer.step = step
        losses = transfer.losses()
        progress = step / settings.steps
        structure, appearance = (twin.targets.draw(role) for role in ("structure", "appearance"))
        conditions = {
            role: twin.prepared.conditions(role, entire(twin.targets.images[role]), twin.dtype)
            for role in ("structure", "appearance")
        }

        def painted(
            image: Tensor, view: View, role: str, detail: Tensor | None, conditions=conditions
        ) -> Tensor:
            rows = slice(view.top, view.top + view.height)
            part = conditions[role][:, :, rows, view.left : view.left + view.width]
            part = part.flip(-1) if view.flip else part
            ground = twin.prepared.underpaintings[role].logits(view, detail)
            return twin.painter.network(torch.cat([2 * luma(image) - 1, part, ground], 1))

        def see(image: Tensor):
            return vit(
                image, cls=[1, 2, 3, 4], tokens=[1, 2, 3], keys=[4], short_side=56, long_side=112
            )

        source, detail = appearance.image, None
        whole = step % 2 == 0
        if whole:
            source, detail = twin.prepared.recolouring(source, appearance.view, twin.noise)
        output = painted(structure.image, structure.view, "structure", None)
        reconstruction = painted(source, appearance.view, "appearance", detail)
        of_output, of_structure = see(output), see(structure.image)
        of_appearance, of_reconstruction = see(appearance.image), see(reconstruction)
        scales = twin.targets.scales
        expected = {}
        if whole:
            cls = [
                (of_output.cls[b] - of_appearance.cls[b]).square().mean() / scales["cls", b]
                for b in (1, 2, 3, 4)
            ]
            expected["appearance"] = 2 * sum(cls) / 4
            similarity = [self_similarity(each.keys[last]) for each in (of_output, of_structure)]
            difference = (similarity[0] - similarity[1]).square().mean()
            expected["structure"] = 2 * difference / scales["similarity", last]
        difference = (of_reconstruction.keys[last] - of_appearance.keys[last]).square().mean()
        expected["identity"] = 0.3 * difference / scales["keys", last]
        if whole:
            distance = (reconstruction - appearance.image).abs().mean()
            expected["pixel_identity"] = 2 * 2.0 * (1 - progress) * distance
        patches = [each.keys[last][0, 1:] for each in (of_structure, of_appearance)]
        meaning = objective.semantic_cost(*patches)
        if whole:
            local = [
                objective.local_term(
                    of_output.tokens[b][0], of_appearance.tokens[b][0], meaning, 1.0
                )
                for b in (1, 2, 3)
            ]
            expected["local"] = 2 * sum(local) / 3
        colour_weight = 3 * max(0.0, 1 - 2 * progress)
        if colour_weight > 0:
            target = structure.view.cut(twin.prepared.colours["structure"])
            cells = [torch.nn.functional.adaptive_avg_pool2d(x, 4) for x in (output, target)]
            expected["colour"] = colour_weight * (cells[0] - cells[1]).abs().mean()
        target = structure.view.cut(twin.prepared.colours["structure"])
        cells = [torch.nn.functional.adaptive_avg_pool2d(x, 32) for x in (output, target)]
        shades = [x - 0.299 * x[:, :1] - 0.587 * x[:, 1:2] - 0.114 * x[:, 2:] for x in cells]
        expected["chroma"] = 12 * (shades[0] - shades[1]).abs().mean()
        if not whole:
            part = twin.prepared.closeups.draw(output, twin.targets.random)
            expected["closeups"] = 2 * 2 * closeups(twin, output, structure.view, part)
        outlines = twin.prepared.outlines
        assert list(outlines) == [1.0, 2.0]
        edges = 0.0
        for scale, outlined in outlines.items():
            size = [round(side / scale) for side in output.shape[-2:]]
            maps = (
                output,
                structure.image,
                *map(structure.view.cut, (outlined, twin.prepared.turned)),
            )
            parts = [torch.nn.functional.adaptive_avg_pool2d(x, size) for x in maps]
            edges += objective.edge_term(*parts, 3, 0.03)
        expected["edges"] = 3 * edges / 2
        strengths = 0.0
        assert list(twin.prepared.details) == [1.0, 2.0, 4.0]
        for scale, wanted in twin.prepared.details.items():
            maps = output, structure.view.cut(wanted)
            size = [round(side / scale) for side in output.shape[-2:]]
            parts = [torch.nn.functional.adaptive_avg_pool2d(x, size) for x in maps]
            strengths += detail_term(*parts, 16)
        expected["detail"] = 2 * strengths / 3
        expected["patches"] = 2 * twin.prepared.patches(Levels(output), structure.view, twin.noise)
        assert losses.keys() == {*expected, "total"}
        for name, value in expected.items():
            assert losses[name].item() == pytest.approx(value.item(), rel=2e-4), name
        total = sum(value.item() for value in expected.values())
        assert losses["total"].item() == pytest.approx(total, rel=2e-4)


def closeups(twin: Transfer, output: Tensor, view: View, part: View) -> Tensor:
    """The term on close-ups, token by token."""
    sides = {"short_side": 56, "long_side": 112}
    wanted = twin.vit(twin.appearance, tokens=[1, 2, 3], **sides).tokens
    rows, columns = (
        slice(part.top, part.top + part.height),
        slice(part.left, part.left + part.width),
    )
    found = twin.vit(output[:, :, rows, columns], tokens=[1, 2, 3], **sides)
    grid, costs = twin.prepared.semantics.structure_grid, []
    for block in (1, 2, 3):
        mean = wanted[block][0].mean(0)
        for row, column in product(range(found.grid[0]), range(found.grid[1])):
            # Its middle, in pixels of the output and then of the structure image.
            down = part.top + (row + 0.5) / found.grid[0] * part.height
            right = part.left + (column + 0.5) / found.grid[1] * part.width
            right = output.shape[-1] - right if view.flip else right
            place = [
                int((view.top + down) / twin.structure.shape[-2] * grid[0]),
                int((view.left + right) / twin.structure.shape[-1] * grid[1]),
            ]
            other = twin.prepared.matches[place[0] * grid[1] + place[1]].argmax()
            ours = found.tokens[block][0, row * found.grid[1] + column] - mean
            theirs = wanted[block][0, other] - mean
            costs.append(1 - ours @ theirs / (ours.norm() * theirs.norm()))
    return sum(costs) / len(costs)


def test_the_collage_of_a_picture_like_itself_is_that_picture(vit):
    transfer = make(vit, pair=(STRUCTURE, STRUCTURE))
    assert transfer.prepared.matches.argmax(1).equal(torch.arange(len(transfer.prepared.matches)))
    torch.testing.assert_close(
        transfer.prepared.collages["structure"][0], STRUCTURE, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("generator", ["image", "semantic"])
def test_a_few_steps_lower_the_sum(vit, generator):
    weights = constant(appearance=1, structure=1, local=1, colour=3, pixel_identity=1)
    settings = tiny.settings(
        steps=16,
        objective=weights,
        generator={"input": generator, "underpainting": 0},
        optimiser={"learning_rate": 5e-3, "schedule": tiny.CONSTANT},
        views={"pool": 2},
    )
    totals = [step.losses["total"].item() for step in make(vit, settings).steps()]
    assert sum(totals[-4:]) < 0.8 * sum(totals[:4])


def test_records_of_steps(vit):
    transfer = make(vit)
    steps = run(transfer)
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert {step.steps for step in steps} == {6}
    assert {step.precision for step in steps} == {"float32"}
    assert not any(step.skipped for step in steps)
    assert all(step.seconds > 0 for step in steps)
    assert run(transfer) == []
    for step in steps:
        parts = [value.item() for name, value in step.losses.items() if name != "total"]
        assert step.losses["total"].item() == pytest.approx(sum(parts), rel=1e-6)
        assert not any(value.requires_grad for value in step.losses.values())
        # The colour target is gone after half of the run. Whole views, which restore as well, take
        # turns with close-ups.
        assert ("colour" in step.losses) == (step.step <= 3)
        for name in ("appearance", "structure", "local", "pixel_identity"):
            assert (name in step.losses) == (step.step % 2 == 1)
        assert ("closeups" in step.losses) == (step.step % 2 == 0)


def test_every_term_of_the_settings_is_summed():
    terms = [name for name, value in Settings().objective if isinstance(value, Term)]
    assert sorted(terms) == sorted(TERMS)


@pytest.mark.parametrize("left_out", TERMS)
def test_any_term_can_be_left_out(vit, left_out):
    weights = dict.fromkeys(TERMS, 1.0) | {left_out: 0.0}
    steps = run(make(vit, tiny.settings(steps=2, objective=constant(**weights))))
    for step in steps:
        assert step.losses.keys() == ({*TERMS, "total"} - {left_out})
        assert not step.skipped


@pytest.mark.parametrize("name", TERMS)
def test_any_term_can_stand_alone(vit, name):
    transfer = make(vit, tiny.settings(steps=2, objective=constant(**{name: 2.5})))
    before = [weight.detach().clone() for weight in transfer.painter.network.parameters()]
    for step in run(transfer):
        assert step.losses.keys() == {name, "total"}
        assert step.losses[name].item() == step.losses["total"].item() > 0
        assert not step.skipped
    moved = zip(before, transfer.painter.network.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)


def test_steps_without_any_term_leave_the_generator_alone(vit):
    weights = constant(colour=1.0)
    weights["colour"]["schedule"] = ((0.0, 1.0), (0.5, 0.0))
    transfer = make(vit, tiny.settings(objective=weights))
    for step in transfer.steps():
        if step.step == 3:
            before = transfer.painter.state()
    assert step.losses.keys() == {"total"}
    assert step.losses["total"].item() == 0
    assert not step.skipped
    after = transfer.painter.state()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("every", "first", "steps"),
    [(1, 0, {0, 1, 2, 3, 4, 5}), (3, 0, {0, 3}), (2, 1, {1, 3, 5}), (2, 3, {3, 5}), (1, 9, set())],
)
def test_a_term_taken_every_nth_step_counts_n_times(vit, every, first, steps):
    weights = constant(pixel_identity=2.0, colour=1.0)
    weights["pixel_identity"] |= {"every": every, "first": first, "recolour": 0.0}
    transfer = make(vit, tiny.settings(objective=weights))
    for step in range(6):
        transfer.step = step
        expected = {"colour": 1.0} | ({"pixel_identity": 2.0 * every} if step in steps else {})
        assert transfer.weights() == expected


def passes(transfer: Transfer) -> tuple[list[int], list[int], list[int]]:
    """Sizes of the batches through the generator, and the ViT with and without gradient, by step."""
    painted: list[int] = []
    with_gradient: list[int] = []
    without: list[int] = []

    def see(_module, inputs, _output) -> None:
        (with_gradient if inputs[0].requires_grad else without).append(len(inputs[0]))

    hooks = [
        transfer.painter.network.register_forward_hook(lambda _m, x, _o: painted.append(len(x[0]))),
        transfer.full_vit.embed.register_forward_hook(see),
    ]
    for _ in transfer.steps():
        painted.append(0)
        with_gradient.append(0)
        without.append(0)
    for hook in hooks:
        hook.remove()
    return painted, with_gradient, without


def test_one_pass_of_each_kind_a_step(vit):
    weights = constant(appearance=1, structure=1, identity=1, local=1)
    views = {"crop": 1.0, "pool": 2}
    settings = tiny.settings(steps=8, objective=weights, views=views)
    pair = tiny.picture(56, 56, 1), tiny.picture(56, 56, 2)
    transfer = make(vit, settings, pair)
    _ = transfer.targets.scales
    painted, with_gradient, without = passes(transfer)
    assert painted == [2, 0] * 8
    assert with_gradient == [2, 0] * 8
    # Two views of each picture, described when they are first drawn and never again.
    assert sum(without) == 4
    assert without[-1] == 0


def test_views_of_other_sizes_are_still_seen_in_one_pass(vit):
    weights = constant(appearance=1, identity=1)
    settings = tiny.settings(steps=3, objective=weights, views={"crop": 0.5, "pool": 0})
    transfer = make(vit, settings)
    _ = transfer.targets.scales
    painted, with_gradient, without = passes(transfer)
    assert sum(painted) == 6
    assert with_gradient == [2, 0] * 3
    assert without == [1, 1, 0] * 3


def test_what_needs_no_features_does_not_run_the_vit(vit):
    weights = constant(colour=1, patches=1, pixel_identity=1)
    transfer = make(vit, tiny.settings(steps=2, objective=weights))
    _, with_gradient, without = passes(transfer)
    assert with_gradient == without == [0, 0]


def test_the_picture_is_the_average_s_and_changes_nothing(vit):
    transfer = make(vit)
    run(transfer)
    before = transfer.state()
    picture = transfer.picture()
    assert picture.shape == STRUCTURE.shape
    assert not picture.requires_grad
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
    after = transfer.state()
    for name, value in before.items():
        assert (
            torch.equal(after[name], value) if isinstance(value, Tensor) else after[name] == value
        )
    network = transfer.painter.network
    with torch.no_grad():
        for weight, average in zip(network.parameters(), transfer.painter.average, strict=True):
            weight.copy_(average)
        conditions = transfer.prepared.conditions(
            "structure", entire(STRUCTURE[None]), transfer.dtype
        )
        ground = transfer.prepared.underpaintings["structure"].logits(entire(STRUCTURE[None]))
        light = 2 * luma(STRUCTURE[None]) - 1
        expected = network(torch.cat([light, conditions, ground], 1))[0]
    torch.testing.assert_close(picture, expected)


# Sameness.


def bfloat16_here() -> bool:
    return precision_of("auto", torch.device("cpu")) == torch.bfloat16


PRECISIONS = [
    "fp32",
    pytest.param("bf16", marks=pytest.mark.skipif(not bfloat16_here(), reason="no bfloat16 here")),
]


@pytest.mark.robustness
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_seed_gives_the_same_picture(vit, precision):
    pictures = []
    for seed in (3, 3, 4):
        transfer = make(vit, tiny.settings(seed=seed, precision=precision))
        run(transfer)
        pictures.append(transfer.picture())
    assert torch.equal(pictures[0], pictures[1])
    assert float((pictures[0] - pictures[2]).abs().max()) > 1e-3


def papers(precision: str) -> Settings:
    views = {"pool": 0, "jitter": 0.5, "blur": 0.2, "entire_every": 3}
    weights = constant(appearance=1, structure=0.1, identity=0.1)
    generator = {"input": "image", "start": "paper", "average": 0.0}
    return tiny.settings(precision=precision, views=views, objective=weights, generator=generator)


@pytest.mark.robustness
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("settings", [lambda p: tiny.settings(precision=p), papers])
def test_a_restored_run_gives_the_same_picture_to_the_byte(
    vit, settings: Callable[[str], Settings], precision
):
    whole = make(vit, settings(precision))
    losses = [step.losses for step in whole.steps()]
    for stop in (0, 4):
        first = make(vit, settings(precision))
        steps = first.steps()
        for _ in range(stop):
            next(steps)
        state = first.state()
        next(steps)  # what happens later is no part of the state
        second = make(vit, settings(precision))
        second.restore(state)
        assert second.step == stop
        for step, expected in zip(second.steps(), losses[stop:], strict=True):
            assert step.losses.keys() == expected.keys()
            assert all(torch.equal(step.losses[name], expected[name]) for name in expected)
        assert torch.equal(second.picture(), whole.picture())


# Steps that fail.


class Poison:
    """Weights that are not finite, put into the generator and taken away again."""

    def __init__(self, transfer: Transfer) -> None:
        self.weight = transfer.painter.network.colours.weight
        self.kept = self.weight.detach().clone()

    @torch.no_grad()
    def put(self) -> None:
        self.weight.fill_(float("nan"))

    @torch.no_grad()
    def take(self) -> None:
        self.weight.copy_(self.kept)


@pytest.mark.robustness
def test_three_failed_steps_lead_to_full_precision(vit):
    transfer = make(vit, tiny.settings(precision="bf16", steps=8))
    steps = transfer.steps()
    assert next(steps).precision == "bfloat16"
    poison, before = Poison(transfer), transfer.painter.state()
    poison.put()
    failed = [next(steps) for _ in range(3)]
    assert [step.skipped for step in failed] == [True] * 3
    assert [step.precision for step in failed] == ["bfloat16"] * 3
    assert all(math.isnan(step.losses["total"].item()) for step in failed)
    poison.take()
    after = transfer.painter.state()
    assert all(torch.equal(after[name], before[name]) for name in before)
    saved = transfer.state()
    assert saved["precision"] == "float32"
    rest = list(steps)
    assert [(step.step, step.skipped, step.precision) for step in rest] == [
        (number, False, "float32") for number in (5, 6, 7, 8)
    ]
    assert not torch.equal(transfer.painter.network.colours.weight, poison.kept)
    assert bool(torch.isfinite(transfer.picture()).all())
    # A run that is resumed after that stays in full precision, with the same picture.
    resumed = make(vit, tiny.settings(precision="bf16", steps=8))
    resumed.restore(saved)
    assert {step.precision for step in resumed.steps()} == {"float32"}
    assert torch.equal(resumed.picture(), transfer.picture())


@pytest.mark.robustness
def test_two_failed_steps_are_forgiven(vit):
    transfer = make(vit, tiny.settings(precision="bf16", steps=12))
    steps = transfer.steps()
    next(steps)
    for _ in range(3):
        poison = Poison(transfer)
        poison.put()
        assert next(steps).skipped
        assert next(steps).skipped
        poison.take()
        step = next(steps)
        assert not step.skipped
        assert step.precision == "bfloat16"


@pytest.mark.robustness
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_ten_failed_steps_end_the_run(vit, precision):
    """A picture that holds what no picture file can hold."""
    broken = STRUCTURE.clone()
    broken[1, 20, 20] = float("nan")
    settings = tiny.settings(steps=50, precision=precision, generator={"input": "image"})
    transfer = make(vit, settings, pair=(broken, APPEARANCE))
    before = transfer.painter.state()
    done = []
    with pytest.raises(RunError, match="10 steps in a row, up to step 10, had a loss or gradient"):
        for step in transfer.steps():
            done.append(step)
    assert [step.skipped for step in done] == [True] * 9
    assert [step.precision for step in done[3:]] == ["float32"] * 6
    after = transfer.painter.state()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_float16_on_a_cpu_is_refused(vit):
    with pytest.raises(InputError, match="--precision fp16 needs a CUDA GPU"):
        make(vit, tiny.settings(precision="fp16"))


@pytest.mark.robustness
@pytest.mark.parametrize(
    "sizes", [((16, 16), (20, 16)), ((16, 128), (128, 16)), ((33, 47), (17, 90))]
)
def test_small_and_long_pictures(vit, sizes):
    pair = tuple(tiny.picture(*size, seed) for seed, size in enumerate(sizes))
    transfer = make(vit, tiny.settings(steps=2, views={"entire_every": 1}), pair)
    assert not any(step.skipped for step in transfer.steps())
    assert transfer.picture().shape == pair[0].shape
    assert entire(pair[0][None]).cut(transfer.picture()[None]).shape == pair[0][None].shape
