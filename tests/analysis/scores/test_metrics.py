"""The scores against the plain formulas, written out with loops and float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splice.analysis.scores import metrics
from splice.analysis.scores.metrics import Judge, Scores, score
from splice.backbones.frozen_vit import FrozenViT


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def plain_cosine(a: np.ndarray, b: np.ndarray) -> float:
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(float(x) ** 2 for x in a) * sum(float(y) ** 2 for y in b))


def test_self_sim_is_the_mean_over_all_token_pairs() -> None:
    output, structure = draw(7, 5, seed=1), draw(7, 5, seed=2)
    total = 0.0
    for i in range(7):
        for j in range(7):
            of_output = plain_cosine(output[i].numpy(), output[j].numpy())
            of_structure = plain_cosine(structure[i].numpy(), structure[j].numpy())
            total += (of_output - of_structure) ** 2
    assert metrics.self_sim(output, structure).item() == pytest.approx(total / 49, rel=1e-5)


def test_self_sim_sees_neither_length_nor_rotation_of_the_keys() -> None:
    keys = draw(9, 4)
    rotation = torch.linalg.qr(draw(4, 4, seed=3)).Q
    assert metrics.self_sim(2.5 * keys @ rotation, keys).item() == pytest.approx(0, abs=1e-10)


def test_dino_i_is_the_cosine() -> None:
    a, b = draw(11, seed=1), draw(11, seed=2)
    assert metrics.dino_i(a, b).item() == pytest.approx(plain_cosine(a.numpy(), b.numpy()), 1e-5)
    assert metrics.dino_i(a, 3 * a).item() == pytest.approx(1)
    assert metrics.dino_i(a, -a).item() == pytest.approx(-1)


def test_texture_is_the_mean_of_the_ratios_not_the_ratio_of_the_means() -> None:
    output, structure, appearance = (draw(3, 6, seed=seed).double() for seed in (1, 2, 3))
    ratios = []
    for o, s, t in zip(output.tolist(), structure.tolist(), appearance.tolist(), strict=True):
        near = sum((a - b) ** 2 for a, b in zip(o, t, strict=True))
        far = sum((a - b) ** 2 for a, b in zip(s, t, strict=True))
        ratios.append(near / far)
    found = metrics.texture(output, structure, appearance).item()
    assert found == pytest.approx(sum(ratios) / 3, rel=1e-12)
    assert metrics.texture(structure, structure, appearance).item() == pytest.approx(1)
    assert metrics.texture(appearance, structure, appearance).item() == 0


def test_texture_has_no_value_where_there_is_nothing_to_transfer() -> None:
    same = draw(3, 6)
    assert math.isnan(metrics.texture(draw(3, 6, seed=1), same, same).item())
    assert math.isnan(metrics.texture(same, same, same).item())


@pytest.mark.parametrize(
    ("blocks", "expected"), [(12, (3, 6, 9)), (24, (6, 12, 18)), (4, (1, 2, 3)), (1, (1,))]
)
def test_texture_blocks_are_the_quarters_of_the_depth(
    blocks: int, expected: tuple[int, ...]
) -> None:
    assert metrics.texture_blocks(blocks) == expected


def test_colour_is_the_mean_of_the_exact_one_dimensional_distances() -> None:
    # At 128 x 128 nothing is resized, so every pixel enters as it is.
    a, b = picture(128, 128, 1), picture(128, 128, 2) ** 2
    directions = metrics.colour_directions().numpy()
    x, y = (p.flatten(1).T.double().numpy() for p in (a, b))
    distances = []
    for direction in directions[:]:
        first, second = np.sort(x @ direction), np.sort(y @ direction)
        # W1 is the area between the two distribution functions.
        grid = np.sort(np.concatenate([first, second]))
        below_first = np.searchsorted(first, grid[:-1], side="right") / len(first)
        below_second = np.searchsorted(second, grid[:-1], side="right") / len(second)
        distances.append(np.sum(np.abs(below_first - below_second) * np.diff(grid)))
    assert metrics.colour(a, b).item() == pytest.approx(np.mean(distances), rel=1e-4)


def test_colour_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = picture(128, 128, 3), picture(128, 128, 4).sqrt()
    x, y = (p.flatten(1).T.double().numpy() for p in (a, b))
    distances = [stats.wasserstein_distance(x @ d, y @ d) for d in metrics.colour_directions()]
    assert metrics.colour(a, b).item() == pytest.approx(np.mean(distances), rel=1e-4)


@given(first=st.tuples(*[st.floats(0, 1)] * 3), second=st.tuples(*[st.floats(0, 1)] * 3))
@settings(max_examples=20)
def test_colour_of_plain_pictures_is_the_mean_projected_difference(
    first: tuple[float, ...], second: tuple[float, ...]
) -> None:
    a = torch.tensor(first, dtype=torch.float64)[:, None, None].expand(3, 20, 30)
    b = torch.tensor(second, dtype=torch.float64)[:, None, None].expand(3, 50, 16)
    expected = (metrics.colour_directions() @ (a - b[:, :20, :1])[:, 0, 0]).abs().mean()
    assert metrics.colour(a, b).item() == pytest.approx(expected.item(), abs=1e-9)


def test_colour_does_not_see_where_a_colour_lies() -> None:
    a = picture(128, 128)
    shuffled = a.flatten(1)[
        :, torch.randperm(128 * 128, generator=torch.Generator().manual_seed(1))
    ]
    assert metrics.colour(a, shuffled.reshape(3, 128, 128)).item() < 1e-6
    assert metrics.colour(a, a.flip(1)).item() < 1e-6


def test_colour_directions_are_64_fixed_unit_vectors_on_all_sides() -> None:
    directions = metrics.colour_directions()
    assert directions.shape == (64, 3)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(64, dtype=torch.float64))
    assert torch.equal(directions, metrics.colour_directions())
    assert directions.mean(0).norm() < 0.35


def test_layout_is_the_overlap_with_the_nearer_part() -> None:
    structure = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0]]).bool()
    output = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 0]]).bool()
    # 2 patches are shared of 4; of the rest, 1 of 7.
    assert metrics.layout(output, structure).item() == pytest.approx(2 / 4)
    assert metrics.layout(~output, structure).item() == pytest.approx(2 / 4)
    # Not symmetric: it is the structure's foreground that counts.
    assert metrics.layout(output, ~structure).item() == pytest.approx(4 / 6)
    assert metrics.layout(structure, structure).item() == 1
    everything = torch.ones(2, 4, dtype=torch.bool)
    assert metrics.layout(everything, structure).item() == pytest.approx(3 / 8)
    assert metrics.layout(~everything, ~everything).item() == 1


def keys_of(mask: torch.Tensor, noise: float = 0.1) -> torch.Tensor:
    """Keys of two kinds, in and outside a mask, beside a large part that all share."""
    inside, outside, shared = draw(3, 16, seed=5)
    kinds = torch.where(mask.flatten()[:, None], inside, outside)
    return 6 * shared + kinds + noise * draw(mask.numel(), 16, seed=6)


@pytest.mark.parametrize("flipped", [False, True])
def test_foreground_finds_the_object_wherever_it_is(flipped: bool) -> None:
    mask = torch.zeros(9, 12, dtype=torch.bool)
    mask[2:6, 3:8] = True
    if flipped:
        mask = mask.flip(1).T.contiguous()
    found = metrics.foreground(keys_of(mask), (mask.shape[0], mask.shape[1]))
    assert torch.equal(found, mask)


def test_foreground_keeps_two_objects() -> None:
    mask = torch.zeros(9, 12, dtype=torch.bool)
    mask[2:5, 2:4] = True
    mask[4:7, 8:10] = True
    assert torch.equal(metrics.foreground(keys_of(mask), (9, 12)), mask)


def test_foreground_that_fills_the_middle_leaves_the_corners() -> None:
    mask = torch.ones(8, 8, dtype=torch.bool)
    mask[:2] = mask[-1:] = False
    mask[:, :1] = False
    assert torch.equal(metrics.foreground(keys_of(mask), (8, 8)), mask)


def test_foreground_is_the_second_eigenvector_of_the_generalised_problem() -> None:
    keys = draw(30, 8, seed=9)
    centred = (keys - keys.mean(0)).double().numpy()
    weights = np.empty((30, 30))
    for i in range(30):
        for j in range(30):
            weights[i, j] = 1.0 if plain_cosine(centred[i], centred[j]) > 0 else 1e-5
    degree = np.diag(weights.sum(1))
    # The generalised problem (D - W) x = lambda D x without the symmetric rescaling.
    values, vectors = np.linalg.eig(np.linalg.solve(degree, degree - weights))
    cut = vectors[:, np.argsort(values.real)[1]].real
    side = cut > cut.mean()
    if not side[np.abs(cut).argmax()]:
        side = ~side
    expected = side.reshape(5, 6)
    if expected[[0, 0, -1, -1], [0, -1, 0, -1]].sum() >= 3:
        expected = ~expected
    assert np.array_equal(metrics.foreground(keys, (5, 6)).numpy(), expected)


def test_scores_of_copies_are_the_ends_of_their_scales(vit: FrozenViT) -> None:
    structure, appearance = picture(40, 56, 1), picture(48, 40, 2) ** 3
    judge = Judge(vit, structure, appearance)
    kept = judge(structure)
    assert kept.self_sim == pytest.approx(0, abs=1e-10)
    assert kept.texture == pytest.approx(1)
    assert kept.layout == 1
    assert kept.artefacts == pytest.approx(0, abs=0.02)
    taken = score(vit, appearance, appearance.clone(), structure)
    assert taken.self_sim == pytest.approx(0, abs=1e-10)
    same_size = Judge(vit, structure, structure.flip(1))(structure.flip(1))
    assert same_size.dino_i == pytest.approx(1)
    assert same_size.texture == pytest.approx(0, abs=1e-10)
    assert same_size.colour == pytest.approx(0, abs=1e-6)


def test_score_compares_the_right_tokens_of_the_right_pictures(vit: FrozenViT) -> None:
    structure, appearance, output = picture(40, 56, 1), picture(64, 40, 2) ** 2, picture(20, 30, 3)
    found = score(vit, output, structure, appearance)
    resized = metrics.resize(output, (40, 56))
    wanted = {"cls": (1, 2, 3, 4), "keys": (4,), "short_side": 224}
    o, s, t = (vit(image[None], **wanted) for image in (resized, structure, appearance))
    cos_o, cos_s = (
        torch.nn.functional.cosine_similarity(x[:, None], x[None], dim=2)
        for x in (o.keys[4][0].double(), s.keys[4][0].double())
    )
    assert found.self_sim == pytest.approx((cos_o - cos_s).square().mean().item(), rel=1e-3)
    a, b = o.cls[4][0].double(), t.cls[4][0].double()
    assert found.dino_i == pytest.approx((a @ b / (a.norm() * b.norm())).item(), rel=1e-4)
    ratios = [
        ((o.cls[i] - t.cls[i]).norm() / (s.cls[i] - t.cls[i]).norm()).square() for i in (1, 2, 3)
    ]
    assert found.texture == pytest.approx((sum(ratios) / 3).item(), rel=1e-4)
    assert found.colour == pytest.approx(metrics.colour(resized, appearance).item(), rel=1e-5)
    masks = [metrics.foreground(f.keys[4][0, 1:], f.grid) for f in (o, s)]
    assert found.layout == pytest.approx(metrics.layout(*masks).item())


def test_artefacts_are_detail_that_no_affine_function_of_brightness_explains() -> None:
    structure, output = (picture(20, 26, seed).double() for seed in (1, 2))
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    bright = [torch.tensordot(luma, image, 1).numpy() for image in (structure, output)]
    lost = counts = 0.0
    for row in range(0, 20 - 6, 3):
        for column in range(0, 26 - 6, 3):
            s, o = (b[row : row + 7, column : column + 7].flatten() for b in bright)
            explained = np.cov(s, o, bias=True)[0, 1] ** 2
            explained /= (s.var() + 1e-5) * (o.var() + 1e-5)
            count = s.var() / (s.var() + 0.03**2)
            lost, counts = lost + count * (1 - explained), counts + count
    assert metrics.artefacts(output, structure).item() == pytest.approx(lost / counts, rel=1e-6)
    assert lost / counts > 0.5
    negative = 0.8 - 0.6 * structure
    assert metrics.artefacts(negative, structure).item() < 0.02


def test_artefacts_of_a_large_picture_are_those_of_a_small_one() -> None:
    structure, output = picture(64, 80, 1), picture(64, 80, 2)
    large = [
        torch.nn.functional.interpolate(x[None], scale_factor=8)[0] for x in (output, structure)
    ]
    small = [metrics.resize(x, (256, 320)) for x in large]
    assert metrics.artefacts(*large).item() == pytest.approx(metrics.artefacts(*small).item())
    assert metrics.artefacts(*large).item() != pytest.approx(
        metrics.artefacts(output, structure).item(), rel=1e-3
    )


def test_a_picture_too_small_for_a_window_has_no_artefacts(vit: FrozenViT) -> None:
    assert math.isnan(score(vit, *(picture(6, 30, seed) for seed in range(3))).artefacts)


def test_scores_average_by_name() -> None:
    first, second = Scores(1.0, 2.0, 3.0, 4.0, 5.0, 6.0), Scores(3.0, 2.0, 5.0, 0.0, 0.0, 1.0)
    assert Scores.mean([first, second]) == Scores(2.0, 2.0, 4.0, 2.0, 2.5, 3.5)
    assert list(metrics.BETTER) == list(Scores.__dataclass_fields__)


def test_scores_do_not_record_gradients(vit: FrozenViT) -> None:
    output = picture(32, 32).requires_grad_()
    assert isinstance(score(vit, output, picture(32, 32, 1), picture(32, 32, 2)).colour, float)
