"""A look at pictures through the features of a backbone."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from embedded_weights import embedded_cache, embedded_wheel  # noqa: F401

from splice.analysis.visualize import look, mutual_nearest_neighbours
from splice.backbones.frozen_vit import FrozenViT
from splice.backbones.registry import find_backbone
from splice.errors import InputError
from splice.pictures.images import read_image

SAMPLE = Path(__file__).parents[3] / "datasets/samples/mountains/B/picosdeeuropa.jpg"


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
