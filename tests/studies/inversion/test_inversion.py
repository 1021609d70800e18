"""Inversion against a plain transcription of its formula, its settings, and its resumption."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import timm
import torch

from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import find_backbone
from splice.errors import InputError, RunError
from splice.pictures.images import to_pil
from splice.studies.inversion import (
    DeepImagePrior,
    InversionSettings,
    Subject,
    inversion_steps,
    invert,
    load_inversion_preset,
    represent,
)
from splice.studies.inversion.batches import bytes_kept
from splice.studies.inversion.result import inversion_grid, labels, psnr, relative_distances
from splice.studies.inversion.subjects import seen, subjects
from splice.studies.inversion.targets import targets

SMALL = {"size": 80, "steps": 6}


@pytest.fixture(scope="module")
def vit() -> FrozenViT:
    model = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=80,
        embed_dim=32,
        depth=3,
        num_heads=2,
        num_classes=0,
        dynamic_img_size=True,
    )
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    backbone = replace(find_backbone("dino_vits16"), name="tiny", width=32, blocks=3)
    return FrozenViT(model.eval(), backbone)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    coarse = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, (80, 96), mode="bicubic")[0].clamp(0, 1)


@pytest.fixture
def double(vit):
    """Everything in float64: Adam's first steps turn rounding into steps of full size."""
    torch.set_default_dtype(torch.float64)
    vit.double()
    yield
    vit.float()
    torch.set_default_dtype(torch.float32)


def settings(**changes) -> InversionSettings:
    return InversionSettings(**{**SMALL, **changes})


def last(steps):
    *_, step = steps
    return step


def test_features_are_the_backbones(vit, image):
    batch = torch.stack([image, image.flip(-1)])
    direct = vit(batch, cls={2}, tokens={2}, keys={2}, short_side=None)
    for feature in ("cls", "tokens", "keys"):
        found = represent(vit, batch, feature, [2])[2]
        torch.testing.assert_close(found, getattr(direct, feature)[2])
    similarity = represent(vit, batch, "self-similarity", [2])[2]
    keys = direct.keys[2].double().numpy()
    for i, j in ((0, 0), (0, 7), (5, 29)):
        for row in (0, 1):
            a, b = keys[row, i], keys[row, j]
            cosine = a @ b / math.sqrt(a @ a) / math.sqrt(b @ b)
            assert similarity[row, i, j].item() == pytest.approx(cosine, abs=1e-5)


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


def test_noise_falls_in_the_papers_stages():
    paper = load_inversion_preset("inversion", {"feature": "cls"})
    assert paper.steps == 20_000 and paper.learning_rate == 0.01 and paper.decay == 0
    levels = {0: 10, 9_999: 10, 10_000: 2, 14_999: 2, 15_000: 0.5, 19_999: 0.5}
    assert {step: paper.noise_deviation(step) for step in levels} == levels
    for feature in ("keys", "tokens", "self-similarity"):
        assert load_inversion_preset("inversion", {"feature": feature}).noise_deviation(0) == 0


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


@pytest.mark.slow
def test_inverting_early_tokens_finds_the_picture(vit, image):
    """Early tokens of any ViT hold the pixels: an inversion must come near, noise does not."""
    result = invert(image, vit, settings(feature="tokens", blocks=(1,), steps=40, decay=0.3))
    assert result.distances[0] < 0.1
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(3))
    assert result.psnr[0] > psnr(noise, image) + 4
    assert result.losses[-10:].mean() < 0.2 * result.losses[:10].mean()


def test_seeds_and_blocks_give_different_pictures(vit, image):
    result = invert(image, vit, settings(feature="cls", blocks=(1, 3), seeds=2, steps=2))
    assert result.subjects == [
        Subject(0, 1, 0),
        Subject(0, 3, 0),
        Subject(0, 1, 1),
        Subject(0, 3, 1),
    ]
    for i in range(4):
        for j in range(i):
            assert not torch.allclose(result.pictures[i], result.pictures[j], atol=1e-3)


def test_distances_are_relative_to_noise(vit, image):
    chosen, subject = settings(feature="keys", blocks=(2,)), [Subject(0, 2, 0)]
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    mixed = 0.5 * (image + noise)
    same, random, between = (
        relative_distances(vit, chosen, [image], subject, [picture])[0]
        for picture in (image, noise, mixed)
    )
    assert same == 0
    assert random == pytest.approx(1)
    keys = [represent(vit, x[None], "keys", [2])[2].numpy() for x in (image, noise, mixed)]
    expected = np.mean((keys[2] - keys[0]) ** 2) / np.mean((keys[1] - keys[0]) ** 2)
    assert between == pytest.approx(float(expected), rel=1e-4)


def test_psnr_is_the_decibels_of_the_mean_square():
    zeros = torch.zeros(3, 4, 4)
    assert psnr(zeros + 0.1, zeros) == pytest.approx(20)
    assert psnr(zeros + 1.0, zeros) == pytest.approx(0)


def test_pictures_of_several_sizes_run_side_by_side(vit, image):
    tall = image.transpose(1, 2)
    result = invert([image, tall], vit, settings(blocks=(3,), steps=2))
    assert [tuple(p.shape) for p in result.pictures] == [(3, 80, 96), (3, 96, 80)]
    alone = invert(tall, vit, settings(blocks=(3,), steps=2))
    assert torch.equal(alone.pictures[0], result.pictures[1])


def test_pictures_of_any_kind_are_inverted(vit, image, tmp_path):
    picture = to_pil(image)
    picture.save(tmp_path / "picture.png")
    tensor = torch.from_numpy(np.array(picture)).movedim(-1, 0).float() / 255
    given = [picture, np.asarray(picture), tmp_path / "picture.png", tensor]
    result = invert(given, vit, settings(blocks=(3,), steps=1))
    assert all(torch.equal(each, result.originals[3]) for each in result.originals)
    alone = invert(str(given[2]), vit, settings(blocks=(3,), steps=1))
    assert len(alone.originals) == 1 and torch.equal(alone.originals[0], result.originals[3])


def test_the_grid_has_a_row_for_each_seed_and_a_column_for_each_block(vit, image):
    inversions = [Subject(0, 1, 0), Subject(0, 3, 0), Subject(0, 1, 1), Subject(0, 3, 1)]
    flat = [torch.full_like(image, 0.2 * (i + 1)) for i in range(4)]
    sheet = np.array(inversion_grid([image], inversions, flat))
    for i in range(4):
        level = round(255 * 0.2 * (i + 1))
        rows, columns = np.nonzero((sheet == level).all(2))
        box = sheet[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert box.shape[0] >= 80 and (sheet == level).all(2).sum() >= 80 * 96
    where = [np.argwhere((sheet == round(255 * 0.2 * (i + 1))).all(2)).mean(0) for i in range(4)]
    assert where[0][0] == pytest.approx(where[1][0], abs=2)  # one seed, one row
    assert where[0][1] == pytest.approx(where[2][1], abs=2)  # one block, one column
    assert where[2][0] > where[0][0] + 80 and where[1][1] > where[0][1] + 96
    assert labels(inversions) == [
        "block 1, seed 0", "block 3, seed 0", "block 1, seed 1", "block 3, seed 1",
    ]  # fmt: skip


def test_all_and_deepest_blocks(vit):
    blocks = {
        name: [s.block for s in subjects(settings(blocks=name), vit)] for name in ("all", "deepest")
    }
    assert blocks == {"all": [1, 2, 3], "deepest": [3]}


def test_a_block_out_of_range_names_the_range(vit, image):
    with pytest.raises(InputError, match=r"block 4: tiny has blocks 1 to 3"):
        next(inversion_steps([image], vit, settings(blocks=(1, 4))))


def test_seen_has_the_size_that_the_backbone_takes(vit):
    picture = torch.rand(3, 300, 700, generator=torch.Generator().manual_seed(0))
    assert seen(picture, vit, 112).shape == (3, 112, 240)  # 7 and, cut from 261 px, 15 patches
    picture = torch.rand(3, 90, 100, generator=torch.Generator().manual_seed(0))
    assert seen(picture, vit, 160).shape == (3, 160, 176)


def test_a_loss_that_is_not_finite_ends_the_run(vit, image):
    broken = image.clone()
    broken[0, 3, 3] = float("nan")
    with pytest.raises(RunError, match="diverged by step 6"):
        last(inversion_steps([broken], vit, settings(blocks=(1,))))


def test_memory_is_that_of_what_the_backward_pass_needs():
    x = torch.rand(1000, requires_grad=True)
    assert bytes_kept(lambda: x * 2.0) == 0
    assert bytes_kept(lambda: (x * x).exp()) == 2 * 4000  # x, once, and the result
    weight = torch.rand(1000, 10)  # no gradient to it: only it is kept, not x
    assert bytes_kept(lambda: x @ weight) == 40_000


def test_targets_carry_no_gradient(vit, image):
    target = targets(vit, image, "keys", [2])[2]
    assert not target.feature.requires_grad
    assert target.distance(target.feature).item() == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"feature": "key"}, ["--feature", "key", "did you mean keys", "self-similarity"]),
        ({"blocks": ("0",)}, ["--block", "from 1", "all"]),
        ({"blocks": ("first",)}, ["--block", "all"]),
        ({"steps": "0"}, ["--steps", "0", "greater than or equal to 1"]),
        ({"steps": "many"}, ["--steps", "many"]),
        ({"size": "32"}, ["--size", "32", "80"]),
        ({"learning_rate": "-1"}, ["--learning-rate"]),
        ({"seeds": "0"}, ["--seeds"]),
    ],
)
def test_wrong_settings_are_named(changes, words):
    with pytest.raises(InputError) as caught:
        load_inversion_preset(changes=changes)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_presets_are_files_and_names(tmp_path):
    quick = load_inversion_preset()
    assert quick.steps < load_inversion_preset("inversion").steps
    mine = tmp_path / "mine.yaml"
    mine.write_text("feature: cls\nblocks: [3, 6]\nsteps: 7\n")
    read = load_inversion_preset(mine, {"steps": "9"})
    assert (read.feature, read.blocks, read.steps) == ("cls", (3, 6), 9)
    mine.write_text("step: 7\n")
    with pytest.raises(InputError, match=r"no setting step \(did you mean steps"):
        load_inversion_preset(mine)
    mine.write_text("noise: [{until: 0.9, deviation: 1}, {until: 0.5, deviation: 2}]\n")
    with pytest.raises(InputError, match="rising 'until'"):
        load_inversion_preset(mine)
    mine.write_text("- 1\n")
    with pytest.raises(InputError, match="lines of 'name: value'"):
        load_inversion_preset(mine)
    with pytest.raises(
        InputError, match=r"no preset inversion-quik .*did you mean inversion-quick"
    ):
        load_inversion_preset("inversion-quik")
    with pytest.raises(InputError, match="does not exist"):
        load_inversion_preset(tmp_path / "none.yaml")
