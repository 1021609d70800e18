"""What an inversion gives: pictures, their distances, and a grid of them."""

import numpy as np
import pytest
import torch
from small_inversion import settings

from splice.pictures.images import to_pil
from splice.studies.inversion import Subject, invert, represent
from splice.studies.inversion.result import inversion_grid, labels, psnr, relative_distances


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
