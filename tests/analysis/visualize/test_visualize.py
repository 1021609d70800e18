"""Pictures of features: PCA, similarity, correspondences, grids, curves and time lapses."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from embedded_weights import embedded_cache, embedded_wheel  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from splice.analysis.visualize import (
    Matches,
    centred,
    draw_matches,
    feature_map,
    heat_map,
    labelled_grid,
    look,
    loss_curves,
    mark_point,
    mutual_nearest_neighbours,
    over_picture,
    panel,
    patch_at,
    pca_colours,
    self_similarity_rows,
    shared_colours,
    similarity_maps,
    time_lapse,
    warp_by_nearest,
)
from splice.backbones.features import Features
from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import find_backbone
from splice.errors import InputError
from splice.pictures.images import read_image

SAMPLE = Path(__file__).parents[3] / "datasets/samples/mountains/B/picosdeeuropa.jpg"


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def flat(colour: tuple[int, int, int], width: int = 40, height: int = 30) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def box_of(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of all pixels of a colour, which must fill that box."""
    rows, columns = np.nonzero((np.array(sheet) == colour).all(2))
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert len(rows) == (box[2] - box[0]) * (box[3] - box[1])
    return tuple(map(int, box))


# Principal components


def test_pca_is_that_of_a_singular_value_decomposition():
    first, second = random(6, 7, 10) * torch.linspace(3, 0.5, 10), random(5, 4, 10, seed=1)
    colours = pca_colours([first, second])
    data = np.concatenate([m.reshape(-1, 10).numpy() for m in (first, second)]).astype(float)
    data -= data.mean(0)
    _, _, directions = np.linalg.svd(data, full_matrices=False)
    got = torch.cat([c.flatten(1) for c in colours], 1).numpy()
    for component in range(3):
        direction = directions[component]
        direction = direction * np.sign(direction[np.abs(direction).argmax()])
        scores = data @ direction
        low, high = np.quantile(scores, [0.01, 0.99])
        expected = ((scores - low) / (high - low)).clip(0, 1)
        np.testing.assert_allclose(got[component], expected, atol=1e-5)
    assert [tuple(c.shape) for c in colours] == [(3, 6, 7), (3, 5, 4)]


def test_equal_features_have_equal_colours_in_every_picture():
    features = random(4, 5, 8)
    for colours in (
        pca_colours([features, features.flip(1)]),
        shared_colours([features, features.flip(1)]),
    ):
        torch.testing.assert_close(colours[0], colours[1].flip(2))


def test_shared_components_pass_over_what_tells_the_pictures_apart():
    """Parts differ along three directions; each picture varies more along one of its own."""
    parts = torch.eye(12)[:4] * torch.tensor([1.0, 1, 1, 1])[:, None]
    labels = torch.randint(0, 4, (2, 9, 9), generator=torch.Generator().manual_seed(0))
    maps = []
    for picture in (0, 1):
        own = torch.zeros(9, 9, 12)
        own[..., 8 + picture] = 3 * random(9, 9, seed=picture)  # the strongest, in one alone
        own[..., 10] += 20 * picture  # another light
        maps.append(parts[labels[picture]] + 0.25 * own)

    def mean_colours(colours):
        return [
            torch.stack([c[:, labels[i] == part].mean(1) for part in range(4)])
            for i, c in enumerate(colours)
        ]

    first, second = mean_colours(shared_colours(maps))
    apart = min((first[i] - first[j]).norm() for i in range(4) for j in range(i))
    assert apart > 0.4  # parts are told apart
    assert (first - second).norm(dim=1).max() < 0.5 * apart  # and look alike in both
    first, second = mean_colours(pca_colours(maps))  # which joint components do not give
    assert (first - second).norm(dim=1).min() > 0.4


def test_shared_components_need_two_pictures_and_three_dimensions():
    with pytest.raises(ValueError, match="at least two"):
        shared_colours([random(4, 4, 8)])
    with pytest.raises(ValueError, match="three components"):
        pca_colours([random(4, 4, 2)])


def test_self_similarity_rows_are_cosines():
    maps = [random(2, 3, 5), random(2, 2, 5, seed=1)]
    rows = self_similarity_rows(maps)
    every = np.concatenate([m.reshape(-1, 5).numpy() for m in maps])
    got = np.concatenate([r.reshape(-1, 10).numpy() for r in rows])
    for i in range(10):
        for j in range(10):
            a, b = every[i], every[j]
            cosine = a @ b / np.sqrt((a @ a) * (b @ b))
            assert got[i, j] == pytest.approx(cosine, abs=1e-5)


def test_compact_rows_have_the_same_lengths_and_angles():
    maps = [random(4, 5, 6), random(3, 4, 6, seed=1)]
    whole, compact = (
        torch.cat([r.flatten(0, 1) for r in self_similarity_rows(maps, compact=c)])
        for c in (False, True)
    )
    assert whole.shape == (32, 32) and compact.shape == (32, 6)
    torch.testing.assert_close(whole @ whole.T, compact @ compact.T, atol=1e-4, rtol=1e-4)


# Maps


def test_feature_maps_leave_out_cls_and_run_row_by_row():
    keys = random(2, 1 + 6, 4)
    laid = feature_map(Features((2, 3), keys={5: keys}), "keys", 5)
    assert torch.equal(laid[1, 0, 2], keys[1, 1 + 2])
    assert torch.equal(laid[0, 1, 0], keys[0, 1 + 3])
    tokens = random(2, 6, 4)
    assert torch.equal(
        feature_map(Features((2, 3), tokens={5: tokens}), "tokens", 5), tokens.view(2, 2, 3, 4)
    )


def test_similarity_is_the_cosine_with_the_chosen_patch():
    maps = [random(3, 4, 7), random(2, 5, 7, seed=1)]
    here, there = similarity_maps(maps, 1, 0, 3)
    assert there[0, 3].item() == pytest.approx(1)
    a, b = maps[1][0, 3].numpy(), maps[0][2, 1].numpy()
    assert here[2, 1].item() == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-5)


@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(1, 30), st.integers(1, 30),
    st.floats(0, 0.999), st.floats(0, 0.999),
)  # fmt: skip
def test_the_patch_at_a_point_covers_it(width, height, rows, columns, right, down):
    x, y = right * width, down * height
    row, column = patch_at(x, y, width, height, (rows, columns))
    assert row * height / rows - 1e-6 <= y <= (row + 1) * height / rows + 1e-6
    assert column * width / columns - 1e-6 <= x <= (column + 1) * width / columns + 1e-6
    assert 0 <= row < rows and 0 <= column < columns


def test_a_point_outside_names_the_range():
    with pytest.raises(InputError, match=r"40,5 lies outside.*X from 0 to 39 and Y from 0 to 29"):
        patch_at(40, 5, 40, 30, (3, 4))


def test_heat_runs_from_dark_to_bright():
    values = torch.linspace(-2, 3, 12).view(3, 4)
    light = heat_map(values).sum(0)
    assert (light.flatten().diff() > 0).all()
    clipped = heat_map(values, low=0, high=1)
    assert torch.equal(clipped[:, 0, 0], clipped[:, 0, 1])  # both below the range
    assert heat_map(torch.ones(2, 2)).isfinite().all()


def test_colours_are_enlarged_flat_or_smoothly():
    patches = torch.rand(3, 2, 3, generator=torch.Generator().manual_seed(0))
    enlarged = np.array(over_picture(patches, (30, 20), smooth=False))
    expected = (patches * 255).round().byte().permute(1, 2, 0).numpy()
    assert (enlarged[:10, 10:20] == expected[0, 1]).all()
    smooth = np.array(over_picture(patches, (30, 20)))
    assert smooth.shape == (20, 30, 3)
    assert len(np.unique(smooth.reshape(-1, 3), axis=0)) > 6


def test_marks_leave_the_picture_alone():
    picture = flat((90, 90, 90))
    marked = np.array(mark_point(picture, 20, 15))
    assert (np.array(picture) == 90).all()
    changed = np.argwhere((marked != 90).any(2))
    np.testing.assert_allclose(changed.mean(0), [15, 20], atol=0.6)
    assert (marked[15, 20] == 90).all()  # a ring, so that what it marks is seen


# Correspondences


def test_mutual_nearest_neighbours_are_those_of_a_search():
    first, second = random(4, 5, 3), random(3, 6, 3, seed=1)
    matches = mutual_nearest_neighbours(first, second)
    a, b = (m.reshape(-1, 3).numpy() - m.reshape(-1, 3).numpy().mean(0) for m in (first, second))
    cosine = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (
        b / np.linalg.norm(b, axis=1, keepdims=True)
    ).T
    expected = {
        ((i // 5, i % 5), (int(j) // 6, int(j) % 6))
        for i in range(20)
        if cosine[:, (j := cosine[i].argmax())].argmax() == i
    }
    pairs = zip(matches.first.tolist(), matches.second.tolist(), strict=True)
    assert {(tuple(x), tuple(y)) for x, y in pairs} == expected
    assert (matches.similarity.diff() <= 0).all()
    (row, column), (to_row, to_column) = matches.first[0].tolist(), matches.second[0].tolist()
    best = cosine[row * 5 + column, to_row * 6 + to_column]
    assert matches.similarity[0].item() == pytest.approx(best, abs=1e-5)


def test_a_rearranged_picture_is_matched_completely():
    features = random(4, 5, 16)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    moved = features.flatten(0, 1)[order].view(5, 4, 16) + 100.0  # in another light
    matches = mutual_nearest_neighbours(features, moved)
    assert len(matches) == 20
    for here, there in zip(matches.first.tolist(), matches.second.tolist(), strict=True):
        assert order[there[0] * 4 + there[1]] == here[0] * 5 + here[1]


def test_spread_matches_keep_their_distance_and_the_best():
    first = torch.tensor([[0, 0], [0, 1], [5, 5], [9, 9], [5, 9]])
    second = torch.tensor([[0, 0], [9, 0], [5, 5], [0, 1], [9, 9]])
    matches = Matches(first, second, torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]))
    # The second is near the first on the left, the fourth near it on the right.
    assert matches.spread(9, apart=2).first.tolist() == [[0, 0], [5, 5], [5, 9]]
    assert matches.spread(1, apart=2).first.tolist() == [[0, 0]]
    assert matches.spread(9, apart=0).first.tolist() == first.tolist()


def test_warping_follows_the_features():
    """Each corner has its own feature; the picture's corners move to where the features are."""
    corners = torch.eye(4).view(2, 2, 4)
    features = corners.repeat_interleave(4, 0).repeat_interleave(4, 1)
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    quarters = colours.T.view(3, 2, 2)
    picture = quarters.repeat_interleave(40, 1).repeat_interleave(40, 2)
    warped = warp_by_nearest(picture, features, features.flip(1))
    assert warped.shape == picture.shape
    for row in (0, 1):
        for column in (0, 1):
            middle = warped[:, 40 * row + 20, 40 * column + 20]
            torch.testing.assert_close(middle, quarters[:, row, 1 - column], atol=0.02, rtol=0)


def test_warping_takes_the_aspect_of_the_structure():
    picture = torch.full((3, 60, 80), 0.3)
    warped = warp_by_nearest(picture, random(6, 8, 5), random(6, 4, 5, seed=1))
    assert warped.shape == (3, 60, 40)
    torch.testing.assert_close(warped, torch.full_like(warped, 0.3), atol=1e-4, rtol=0)


def test_lines_join_the_middles_of_the_patches():
    matches = Matches(torch.tensor([[1, 0]]), torch.tensor([[0, 3]]), torch.ones(1))
    sheet = draw_matches(
        flat((0, 0, 0), 80, 80), flat((0, 0, 0), 160, 80), matches, (2, 2), (2, 4), gap=10
    )
    assert sheet.size == (80 + 10 + 160, 80)
    drawn = np.array(sheet).max(2) > 60
    ys, xs = np.nonzero(drawn[:, :80])
    start = np.array([60, 20])  # the lower left of 2 x 2 patches
    assert np.abs(np.stack([ys, xs], 1) - start).sum(1).min() <= 1
    right = np.array(sheet)[20, 90 + 140]  # the last of the upper four patches on the right
    assert right.max() > 60
    # A picture of another height is scaled to that of the first.
    assert draw_matches(
        flat((0, 0, 0), 80, 80), flat((0, 0, 0), 80, 40), matches, (2, 2), (2, 4), gap=0
    ).size == (80 + 160, 80)


# Grids


def test_grid_places_pictures_in_rows_and_columns():
    red, green, blue = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    sheet = labelled_grid([[flat(red), flat(green)], [None, flat(blue)]], gap=5)
    assert sheet.size == (2 * 40 + 3 * 5, 2 * 30 + 3 * 5)
    assert box_of(sheet, red) == (5, 5, 45, 35)
    assert box_of(sheet, green) == (50, 5, 90, 35)
    assert box_of(sheet, blue) == (50, 40, 90, 70)
    assert sheet.getpixel((20, 50)) == (255, 255, 255)


def test_labels_take_space_of_their_own_and_are_drawn():
    colour = (0, 0, 250)
    plain = labelled_grid([[flat(colour), flat(colour)]])
    pair = [flat(colour), flat((0, 0, 240))]
    labelled = labelled_grid([pair], ["left", "right"], ["one row"])
    left, top, _, _ = box_of(labelled, colour)
    assert labelled.width > plain.width + 20 and labelled.height > plain.height + 8
    ink = (np.array(labelled).astype(int).sum(2) < 300) & (np.array(labelled)[..., 2] < 200)
    assert ink[:top].any() and ink[:, :left].any()
    assert not ink[top:, left:].any()
    edge = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    assert not edge.any()  # nothing is cut off


def test_a_long_label_widens_its_column():
    red = (250, 0, 0)
    narrow = labelled_grid([[flat(red, 10, 30)]], ["a"], text=12)
    wide = labelled_grid([[flat(red, 10, 30)]], ["a very much longer label"], text=12)
    assert wide.width > narrow.width + 80
    left, _, right, _ = box_of(wide, red)
    assert abs((left + right) / 2 - wide.width / 2) <= 1


def test_grids_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="at least one"):
        labelled_grid([[None]])
    with pytest.raises(ValueError, match="3 column labels for 1"):
        labelled_grid([[flat((0, 0, 0))]], ["a", "b", "c"])
    with pytest.raises(ValueError, match="2 row labels for 1"):
        labelled_grid([[flat((0, 0, 0))]], row_labels=["a", "b"])


def test_panel_has_one_height():
    red, green = (250, 0, 0), (0, 250, 0)
    sheet = panel([flat(red, 40, 60), flat(green, 50, 30)])
    left, top, right, bottom = box_of(sheet, red)
    assert (right - left, bottom - top) == (20, 30)
    assert box_of(sheet, green)[1::2] == (top, bottom)


# Curves and time lapses


def test_curves_show_the_values_on_a_logarithmic_axis():
    figure = loss_curves({"a": [3.0, 2.0, 1.0], "b": [1.0, 0.5, 0.25]}, title="t")
    (axes,) = figure.axes
    assert axes.get_yscale() == "log" and axes.get_title() == "t"
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["a"] == [[1, 3], [2, 2], [3, 1]]
    assert lines["b"] == [[1, 1], [2, 0.5], [3, 0.25]]
    assert Image.open(io.BytesIO(figure._repr_png_())).width > 500


def test_curves_take_zeros_gaps_and_chosen_steps():
    figure = loss_curves({"a": [0.0, float("nan"), 1.0]}, steps=[10, 20, 30])
    (axes,) = figure.axes
    assert axes.get_yscale() == "linear"
    points = axes.get_lines()[0].get_xydata()
    assert points[:, 0].tolist() == [10, 20, 30] and np.isnan(points[1, 1])
    loss_curves({})._repr_png_()
    with pytest.raises(ValueError, match="2 values at 1 steps"):
        loss_curves({"a": [1.0, 2.0]}, steps=[1])


def test_long_curves_are_smoothed_by_a_running_mean():
    values = np.random.default_rng(0).random(500) + 0.1
    (axes,) = loss_curves({"a": values.tolist()}).axes
    raw, smooth = (line.get_ydata() for line in axes.get_lines())
    np.testing.assert_allclose(raw, values)
    np.testing.assert_allclose(smooth[99], values[90:100].mean())
    np.testing.assert_allclose(smooth[3], values[:4].mean())


@pytest.mark.slow
def test_no_global_state_of_matplotlib_is_touched():
    code = (
        "import sys; from splice.analysis.visualize import loss_curves; "
        "loss_curves({'a': [1.0, 2.0]})._repr_png_(); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_time_lapse_plays_its_frames_and_rests_on_the_last(tmp_path):
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    path = tmp_path / "lapse.gif"
    frames = [flat(colours[0], 20, 20), flat(colours[1]), flat(colours[2])]
    time_lapse(frames, path, milliseconds=100, hold=900)
    with Image.open(path) as movie:
        assert movie.info["loop"] == 0
        shown = []
        for frame, colour in zip(ImageSequence.Iterator(movie), colours, strict=True):
            shown.append(frame.info["duration"])
            assert frame.size == (40, 30)
            got = np.array(frame.convert("RGB")).reshape(-1, 3).mean(0)
            np.testing.assert_allclose(got, colour, atol=3)
        assert shown == [100, 100, 900]
    assert [p.name for p in tmp_path.iterdir()] == ["lapse.gif"]
    with pytest.raises(ValueError, match="at least one frame"):
        time_lapse([], path)
    with pytest.raises(InputError):
        time_lapse(frames, tmp_path / "missing" / "lapse.gif")


# A look as a whole


@pytest.fixture(scope="module")
def vit() -> FrozenViT:
    model = timm.create_model("test_vit", num_classes=0, dynamic_img_size=True)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return FrozenViT(model.eval(), find_backbone("dino_vits16"))


@pytest.fixture(scope="module")
def pictures() -> list[torch.Tensor]:
    coarse = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    first, second = torch.nn.functional.interpolate(coarse, (90, 120), mode="bicubic").clamp(0, 1)
    return [first, second.transpose(1, 2)]


def test_a_look_takes_the_backbones_features(vit, pictures):
    seen = look(pictures, vit, [2, 1], size=64)
    assert seen.blocks == [1, 2]
    assert [f.grid for f in seen.features] == [(4, 5), (5, 4)]
    direct = vit(seen.seen[1][None], keys=[2], attention=[1], short_side=None)
    torch.testing.assert_close(seen.features[1].keys[2], direct.keys[2])
    torch.testing.assert_close(seen.maps("keys", 2)[1], direct.keys[2][0, 1:].view(5, 4, -1))
    saved = seen.tensors()
    torch.testing.assert_close(saved["1/keys/2"], direct.keys[2][0])
    torch.testing.assert_close(saved["1/attention/1"], direct.attention[1][0])
    assert saved["0/cls/1"].shape == (vit.width,)


def test_pictures_of_a_look(vit, pictures):
    seen = look(pictures, vit, "all", size=64, names=["a", "b"])
    for kind in ("keys", "queries", "values", "tokens", "self-similarity"):
        assert seen.pca(kind).width > (1 + vit.blocks) * 64
    heads = seen.features[0].attention[1].shape[1]
    assert seen.attention(1).width > (2 + heads) * 64
    assert seen.similarity(100, 80).height > 64 + 80
    assert seen.correspondences("tokens", 1).width == 80 + 24 + 51
    assert seen.warped().height > 64
    one = look(pictures[0], vit)
    assert one.pca().width > 2 * 448 and one.names == [""]


def test_similarity_marks_the_point_that_was_given(vit, pictures):
    seen = look(pictures, vit, size=64)
    plain, marked = (np.array(seen.pca()), np.array(seen.similarity(30, 45, image=0)))
    column = slice(6, 6 + 80)
    top = marked.shape[0] - plain.shape[0]
    assert top == 0
    changed = np.argwhere((plain[:, column] != marked[:, column]).any(2))
    x = 30 * 80 / 120
    assert abs(changed[:, 1].mean() - x) < 1.5


def test_mistakes_are_named(vit, pictures):
    with pytest.raises(InputError, match=f"block 99.*blocks 1 to {vit.blocks}"):
        look(pictures, vit, [99])
    seen = look(pictures[0], vit, [1], size=64)
    with pytest.raises(InputError, match="block 2 was not looked at; there is 1"):
        seen.maps("keys", 2)
    with pytest.raises(InputError, match="two pictures, not 1"):
        seen.correspondences()
    with pytest.raises(InputError, match="outside"):
        seen.similarity(120, 0)


def test_centred_maps_have_no_mean():
    torch.testing.assert_close(centred(random(3, 4, 5) + 7).mean((0, 1)), torch.zeros(5))


@pytest.mark.network
def test_a_shifted_photograph_is_matched_where_it_went(embedded_cache, monkeypatch):  # noqa: F811
    """Two overlapping views of a photograph: most matches must be the same place, 4 patches on."""
    monkeypatch.setenv("SPLICE_CACHE", str(embedded_cache))
    photograph = read_image(SAMPLE, short_side=224)
    views = [photograph[:, :, :224], photograph[:, :, 56:280]]
    seen = look(views, FrozenViT.load(), size=224)
    first, second = seen.maps("keys")
    assert first.shape == (16, 16, 384)
    matches = mutual_nearest_neighbours(first, second)
    shift = matches.first - matches.second
    right = (shift - torch.tensor([0, 4])).abs().max(1).values <= 1
    assert len(matches) > 60
    # By chance it would be 0.035; sky and turf have little to tell their patches apart.
    assert right.float().mean() > 0.6
