"""The generator's training: Adam and Muon, the average of the weights, failed steps, saving."""

import pytest
import tiny
import torch
from torch import Tensor

from splice.method.learner import Learner, batched
from splice.method.setting_values import factor_at
from splice.method.settings import PAINTING_TERMS, PAPER_TERMS

CPU = torch.device("cpu")
INPUT = tiny.picture(32, 32, 1)[None]
GOAL = tiny.picture(32, 32, 2)[None]
OWN_TERMS = set(PAINTING_TERMS) - set(PAPER_TERMS)
RATES = ((0.0, 0.2), (0.5, 1.0), (1.0, 0.1))


def make(seed: int = 0, average: float = 0.9, method: str = "painting", **optimiser) -> Learner:
    values = {"learning_rate": 2e-3, "beta1": 0.5, "schedule": RATES, **optimiser}
    changes = {"seed": seed, "generator": {"average": average, "skip": 8}, "optimiser": values}
    if method == "paper":
        changes |= {"method": method, "objective": dict.fromkeys(OWN_TERMS, 0.0)}
    return Learner(3, tiny.settings(**changes), CPU)


def loss(learner: Learner) -> Tensor:
    return (learner.paint([INPUT], torch.float32)[0] - GOAL).square().mean()


def learn(learner: Learner, steps: range, half: bool = False) -> None:
    for step in steps:
        assert learner.learn(loss(learner), step / 10, step, half)


def snapshot(learner: Learner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in learner.state().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_papers_steps_are_adams_and_the_average_a_running_one():
    """Kingma and Ba (2015), algorithm 1, in float64 on the gradients of every step."""
    learner = make(method="paper")
    weights = list(learner.network.parameters())
    ours = [weight.detach().double() for weight in weights]
    average = [weight.clone() for weight in ours]
    first, second = ([torch.zeros_like(weight) for weight in ours] for _ in range(2))
    for step in range(5):
        total = loss(learner)
        expected = torch.autograd.grad(total, weights, retain_graph=True)
        assert learner.learn(total, step / 10, step, False)
        rate = 2e-3 * factor_at(RATES, step / 10)
        # After n steps the average has forgotten at least n of n + 9 parts of the first weights.
        kept = min(0.9, (step + 1) / (step + 10))
        for i, gradient in enumerate(expected):
            first[i] = 0.5 * first[i] + 0.5 * gradient
            second[i] = 0.99 * second[i] + 0.01 * gradient.double().square()
            mean = first[i] / (1 - 0.5 ** (step + 1))
            square = second[i] / (1 - 0.99 ** (step + 1))
            ours[i] = ours[i] - rate * mean / (square.sqrt() + 1e-8)
            average[i] = kept * average[i] + (1 - kept) * ours[i]
            moved = weights[i].detach().double()
            torch.testing.assert_close(moved, ours[i], atol=2e-6, rtol=1e-5)
            torch.testing.assert_close(
                learner.average[i].double(), average[i], atol=2e-6, rtol=1e-5
            )
            ours[i] = moved  # roundings of one step are not carried into the next gradient
    assert (
        max(
            float((a - b).abs().max())
            for a, b in zip(average, make(method="paper").average, strict=True)
        )
        > 1e-3
    )


def test_the_convolutions_before_a_norm_take_muons_steps_and_the_rest_adams():
    """The first step: rates times 0.2 √n U Vᵀ of the gradient, and rates times the gradient's sign."""
    learner = make(schedule=((0.0, 1.0),), learning_rate=1e-3)
    named = dict(learner.network.named_parameters())
    before = {name: weight.detach().clone() for name, weight in named.items()}
    # The last layer starts from zeros, through which no other would learn.
    with torch.no_grad():
        named["colours.weight"].copy_(before["colours.weight"] + 0.1)
    before["colours.weight"] += 0.1
    total = loss(learner)
    gradients = torch.autograd.grad(total, list(named.values()), retain_graph=True)
    assert learner.learn(total, 0.0, 0, False)
    convolutions = 0
    for (name, weight), gradient in zip(named.items(), gradients, strict=True):
        change = (before[name] - weight.detach()).double() / 1e-3
        if weight.ndim == 4 and name != "colours.weight":
            convolutions += 1
            u, values, v = torch.linalg.svd(gradient.double().flatten(1), full_matrices=False)
            sizes = (u.T @ change.flatten(1) @ v.T) / (0.2 * max(u.shape[0], v.shape[1]) ** 0.5)
            torch.testing.assert_close(sizes, sizes.diagonal().diag(), atol=2e-2, rtol=0)
            assert float(sizes.diagonal().max()) < 1.25
            clear = values > 1e-2 * values.norm()
            assert bool((sizes.diagonal()[clear] > 0.6).all())
        else:
            clear = gradient.abs() > 1e-6
            torch.testing.assert_close(
                change[clear], gradient.sign().double()[clear], atol=2e-2, rtol=0
            )
    assert convolutions == 25


def test_no_average_is_the_last_weights():
    learner = make(average=0.0)
    learn(learner, range(3))
    for average, weight in zip(learner.average, learner.network.parameters(), strict=True):
        assert torch.equal(average, weight)


def test_it_learns():
    learner = make(schedule=((0.0, 1.0),))
    before = loss(learner).item()
    learn(learner, range(20))
    assert loss(learner).item() < 0.7 * before


@pytest.mark.robustness
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("failure", ["nan loss", "infinite loss", "nan gradient"])
def test_a_step_that_is_not_finite_teaches_nothing(failure, waits):
    learner = make()
    learner.waits = waits
    learn(learner, range(2))
    before = snapshot(learner)
    if failure == "nan loss":
        total = loss(learner) * float("nan")
    elif failure == "infinite loss":
        total = loss(learner) + float("inf")
    else:
        total = loss(learner)
        total = total + (total - total.detach()).sqrt()  # 0, with a slope that is infinite
        assert torch.isfinite(total)
    assert not learner.learn(total, 0.2, 2, False)
    assert same(before, snapshot(learner))
    learn(learner, range(2, 4))
    # The failed step left nothing behind that a later one would notice.
    undisturbed = make()
    learn(undisturbed, range(4))
    assert same(snapshot(learner), snapshot(undisturbed))


def test_a_step_without_any_term_teaches_nothing_and_is_no_failure():
    learner = make()
    learn(learner, range(2))
    before = snapshot(learner)
    assert learner.learn(torch.zeros(()), 0.2, 2, False)
    assert same(before, snapshot(learner))


def test_scaling_for_half_precision_cancels():
    """The scale is a power of two: nothing is rounded by it."""
    scaled, plain = make(), make()
    learn(scaled, range(3), half=True)
    learn(plain, range(3))
    assert same(snapshot(scaled), snapshot(plain))


@pytest.mark.robustness
def test_a_restored_painter_goes_on_as_the_first_would():
    first = make(seed=1)
    learn(first, range(3))
    state = snapshot(first)
    learn(first, range(3, 6))
    second = make(seed=2)
    learn(second, range(1))
    second.restore(state)
    assert same(snapshot(second), state)
    learn(second, range(3, 6))
    assert same(snapshot(first), snapshot(second))


@pytest.mark.robustness
def test_going_back_to_the_beginning():
    fresh, used = make(seed=1), make(seed=1)
    state = snapshot(fresh)
    learn(used, range(3))
    used.restore(state)
    assert same(snapshot(used), state)
    learn(used, range(2))
    learn(fresh, range(2))
    assert same(snapshot(used), snapshot(fresh))


def test_the_state_is_a_copy():
    learner = make()
    learn(learner, range(1))
    state = learner.state()
    kept = {name: value.clone() for name, value in state.items()}
    learn(learner, range(1, 3))
    assert same(state, kept)


def test_states_of_another_network_are_refused():
    other = Learner(5, tiny.settings(), CPU).state()
    with pytest.raises(RuntimeError):
        make().restore(other)
    with pytest.raises(KeyError):
        make().restore({})


def test_the_average_is_lent_for_a_while():
    learner = make()
    learn(learner, range(3))
    live = [weight.detach().clone() for weight in learner.network.parameters()]

    def weights_are(values: list[Tensor]) -> bool:
        pairs = zip(learner.network.parameters(), values, strict=True)
        return all(torch.equal(weight, value) for weight, value in pairs)

    with learner.averaged():
        assert weights_are(learner.average)
        assert not weights_are(live)
    assert weights_are(live)
    with pytest.raises(ZeroDivisionError), learner.averaged():
        raise ZeroDivisionError
    assert weights_are(live)


def test_each_method_has_its_network():
    """The paper's starts from little, the default's from the colours that are its last inputs."""
    own, papers = make(average=0.0), Learner(3, tiny.paper(), CPU)
    painted = own.paint([INPUT], torch.float32)[0]
    assert torch.equal(painted, torch.sigmoid(INPUT[:, -3:]))
    assert [each.network.skips[0][1].out_channels for each in (papers, own)] == [4, 8]
    assert bool(papers.network.colours.weight.any())


def test_the_seed_decides_the_first_weights():
    first, equal, other = (snapshot(make(seed=seed)) for seed in (1, 1, 2))
    assert same(first, equal)
    assert not same(first, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pictures_of_one_size_are_painted_in_one_pass(dtype):
    learner, passes = make(), []
    # Deep maps have few pixels here, and norms of few pixels make much of bfloat16's rounding.
    spread = 0.3 if dtype == torch.float32 else 0.03
    torch.nn.init.normal_(learner.network.colours.weight, 0.0, spread, tiny.generator(3))
    learner.network.register_forward_hook(lambda _m, inputs, _o: passes.append(inputs[0].shape))
    inputs = [tiny.picture(*size, seed)[None] for seed, size in enumerate([(32, 40), (64, 32)] * 2)]
    painted = learner.paint(inputs, dtype)
    assert passes == [(2, 3, 32, 40), (2, 3, 64, 32)]
    for image, result in zip(inputs, painted, strict=True):
        assert result.shape == image.shape
        assert result.dtype == torch.float32
        close = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0.1, "rtol": 0}
        torch.testing.assert_close(result, learner.paint([image], torch.float32)[0], **close)


def test_batches_by_size_keep_the_order():
    images = [
        torch.full((1, 1, *size), float(i)) for i, size in enumerate([(1, 2), (3, 3), (1, 2)])
    ]
    sizes = []

    def double(batch: Tensor) -> Tensor:
        sizes.append(tuple(batch.shape))
        return 2 * batch

    results = batched(double, images)
    assert sizes == [(2, 1, 1, 2), (1, 1, 3, 3)]
    for image, result in zip(images, results, strict=True):
        assert torch.equal(result, 2 * image)
