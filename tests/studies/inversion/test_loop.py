"""The steps of an inversion against a plain transcription of its formula, and going on with them."""

from itertools import pairwise

import pytest
import torch
from small_inversion import settings

from splice.errors import InputError, RunError
from splice.studies.inversion import DeepImagePrior, inversion_steps, represent


@pytest.fixture
def double(vit):
    """Everything in float64: Adam's first steps turn rounding into steps of full size."""
    torch.set_default_dtype(torch.float64)
    vit.double()
    yield
    vit.float()
    torch.set_default_dtype(torch.float32)


def last(steps):
    *_, step = steps
    return step


@pytest.mark.slow
@pytest.mark.parametrize("feature", ["keys", "cls", "tokens", "self-similarity"])
def test_steps_are_those_of_the_formula(vit, image, double, feature):
    """Adam on ||φ(F(z + n)) - φ(I)||², written out with PyTorch's plain Adam."""
    image = image.double()
    chosen = settings(feature=feature, blocks=(2,), seed=5, steps=4)
    got = [step.losses.item() for step in inversion_steps([image], vit, chosen)]

    generator = torch.Generator().manual_seed(5)
    network = DeepImagePrior([generator])
    fixed = torch.randn(32, 80, 96, generator=generator)[None]
    fresh = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    adam = torch.optim.Adam(network.parameters(), lr=1e-2, fused=False, foreach=False)
    noise = torch.rand(3, 80, 96, generator=torch.Generator().manual_seed(0))
    goal = represent(vit, image[None], feature, [2])[2].detach()
    scale = (represent(vit, noise[None], feature, [2])[2] - goal).square().mean().item()
    expected = []
    for step in range(4):
        z = fixed
        if feature == "cls":
            deviation = {0: 10, 1: 10, 2: 2, 3: 0.5}[step]
            z = fixed + deviation * torch.randn(32, 80, 96, generator=fresh)
        loss = (represent(vit, network(z), feature, [2])[2] - goal).square().mean() / scale
        expected.append(loss.item())
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert got == pytest.approx(expected, rel=1e-6)
    assert len(set(got)) == 4


@pytest.mark.slow
def test_batches_change_nothing_but_rounding(vit, image, double):
    """Three inversions in batches of two and one are the three of them alone, in their order."""
    image = image.double()
    chosen = settings(feature="cls", blocks=(3, 1, 2), seed=4, steps=2)
    batched = [step.losses for step in inversion_steps([image], vit, chosen, together=2)]
    for place, block in enumerate((3, 1, 2)):
        alone = settings(feature="cls", blocks=(block,), seed=4, steps=2)
        own = [step.losses for step in inversion_steps([image], vit, alone)]
        assert [x[0].item() for x in own] == pytest.approx([x[place].item() for x in batched])
    assert len({x.item() for x in batched[1]}) == 3


@pytest.mark.parametrize("feature", ["cls", "keys"])
def test_going_on_is_as_if_never_stopped(vit, image, feature):
    chosen = settings(feature=feature, blocks=(1, 3), steps=4, decay=0.5)
    for step in inversion_steps([image], vit, chosen):
        if step.step == 2:
            state = step.state()
    whole = step.pictures()
    resumed = list(inversion_steps([image], vit, chosen, state=state))
    assert [step.step for step in resumed] == [3, 4]
    for a, b in zip(whole, resumed[-1].pictures(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_going_on_in_other_batches(vit, image, double):
    image, chosen = image.double(), settings(feature="cls", blocks=(1, 3), steps=2)
    steps = inversion_steps([image], vit, chosen, together=1)
    state = next(steps).state()
    one_by_one = next(steps).losses
    both = next(inversion_steps([image], vit, chosen, state=state, together=2)).losses
    torch.testing.assert_close(both, one_by_one)


def test_state_of_other_inversions_is_refused(vit, image):
    state = next(inversion_steps([image], vit, settings(blocks=(1,)))).state()
    with pytest.raises(InputError, match="other inversions"):
        next(inversion_steps([image], vit, settings(blocks=(1, 2)), state=state))


@pytest.mark.slow
def test_learning_rate_falls_over_the_last_steps(vit, image):
    """With the rate at almost nothing the network stands still."""
    chosen = settings(blocks=(1,), steps=8, decay=1.0)
    drawn = [step.pictures()[0] for step in inversion_steps([image], vit, chosen)]
    moves = [(b - a).abs().mean().item() for a, b in pairwise(drawn)]
    # (1 + cos(7π/8)) / 2 of the rate is left for the last step: a twenty-sixth.
    assert moves[-1] < 0.2 * max(moves)
    constant = [s.pictures()[0] for s in inversion_steps([image], vit, settings(blocks=(1,)))]
    assert torch.equal(constant[0], drawn[0])


def test_a_block_out_of_range_names_the_range(vit, image):
    with pytest.raises(InputError, match=r"block 4: tiny has blocks 1 to 3"):
        next(inversion_steps([image], vit, settings(blocks=(1, 4))))


def test_a_loss_that_is_not_finite_ends_the_run(vit, image):
    broken = image.clone()
    broken[0, 3, 3] = float("nan")
    with pytest.raises(RunError, match="diverged by step 6"):
        last(inversion_steps([broken], vit, settings(blocks=(1,))))
