"""Views of a pair and what outputs are compared with."""

import math

import pytest
import tiny
import torch

from splice.features import FrozenViT
from splice.settings import Settings
from splice.targets import Targets

STRUCTURE, APPEARANCE = tiny.picture(60, 72, 1)[None], tiny.picture(64, 50, 2)[None]


@pytest.fixture(scope="module")
def vit() -> FrozenViT:
    return tiny.frozen()


def make(
    vit: FrozenViT, settings: Settings, pair=(STRUCTURE, APPEARANCE), seed: int = 0
) -> Targets:
    return Targets(*pair, settings, vit, vit, tiny.generator(seed))


def views(**changes) -> Settings:
    return tiny.settings(views=changes)


def similarity_by_loops(keys: torch.Tensor) -> list[list[float]]:
    rows = keys.double().tolist()
    norms = [math.sqrt(sum(x * x for x in row)) for row in rows]
    return [
        [
            sum(x * y for x, y in zip(a, b, strict=True)) / (m * n)
            for b, n in zip(rows, norms, strict=True)
        ]
        for a, m in zip(rows, norms, strict=True)
    ]


def test_a_view_comes_with_the_features_of_its_pixels(vit):
    targets = make(vit, views(pool=0, crop=0.6))
    for role, picture in (("structure", STRUCTURE), ("appearance", APPEARANCE)):
        target = targets.draw(role)
        assert torch.equal(target.image, target.view.cut(picture))
        last = vit(target.image, cls=[1, 2, 3, 4], tokens=[1, 2, 3], keys=[4], short_side=56)
        for block in (1, 2, 3, 4):
            torch.testing.assert_close(target.features.cls[block], last.cls[block])
        for block in (1, 2, 3):
            torch.testing.assert_close(target.features.tokens[block], last.tokens[block])
        torch.testing.assert_close(target.features.keys[4], last.keys[4])
        assert target.similarity is not None
        expected = torch.tensor(similarity_by_loops(last.keys[4][0]))
        torch.testing.assert_close(target.similarity[0], expected, atol=1e-5, rtol=0)
        assert not target.similarity.requires_grad


def test_fresh_views_never_repeat(vit):
    targets = make(vit, views(pool=0, crop=0.3))
    drawn = [targets.draw("structure").view for _ in range(12)]
    assert len(set(drawn)) > 10


def test_views_of_the_pool_are_described_once_and_drawn_alike_often(vit):
    targets = make(vit, views(pool=3, crop=0.3))
    drawn = [targets.draw("structure") for _ in range(300)]
    different = {id(target): target for target in drawn}
    assert len(different) == 3
    assert len({target.view for target in drawn}) == 3
    for identity in different:
        count = sum(id(target) == identity for target in drawn)
        assert 70 < count < 130
    assert not {id(targets.draw("appearance")) for _ in range(20)} & set(different)


def test_colours_change_in_views_of_the_structure_image_alone(vit):
    targets = make(vit, views(pool=0, jitter=1.0, blur=1.0))
    structure, appearance = targets.draw("structure"), targets.draw("appearance")
    assert not torch.equal(structure.image, structure.view.cut(STRUCTURE))
    assert torch.equal(appearance.image, appearance.view.cut(APPEARANCE))
    assert torch.equal(targets.entire("structure").image, STRUCTURE)
    assert torch.equal(targets.entire("appearance").image, APPEARANCE)
    assert targets.entire("structure") is targets.entire("structure")


def test_the_generator_decides(vit):
    settings = views(pool=0, crop=0.3)
    first, same, other = (
        [make(vit, settings, seed=seed).draw("structure").view for _ in range(3)]
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_blocks_are_fractions_of_the_depth(vit):
    targets = make(vit, tiny.settings())
    assert targets.blocks((0.25, 0.5, 0.75, 1.0)) == [1, 2, 3, 4]
    assert targets.blocks((0.01, 0.1)) == [1]
    assert targets.blocks((0.6, 0.9)) == [2, 4]  # 2.4 and 3.6
    deep = tiny.frozen(tiny.standard(depth=12, embed_dim=8))
    assert make(deep, tiny.settings()).blocks((0.25, 0.5, 0.75, 1.0)) == [3, 6, 9, 12]


def test_only_what_terms_compare_is_wanted(vit):
    targets = make(vit, tiny.settings())
    nothing = {"cls": set(), "tokens": set(), "keys": set()}
    assert targets.wanted([]) == nothing
    assert targets.wanted(["colour", "patches", "pixel_identity"]) == nothing
    assert targets.wanted(["appearance"]) == nothing | {"cls": {1, 2, 3, 4}}
    assert targets.wanted(["structure"]) == nothing | {"keys": {4}}
    assert targets.wanted(["identity", "local"]) == nothing | {"keys": {4}, "tokens": {1, 2, 3}}


def only(*names: str) -> Settings:
    terms = ("appearance", "structure", "identity", "pixel_identity", "local", "colour", "patches")
    return tiny.settings(objective={name: {"weight": float(name in names)} for name in terms})


def test_only_what_terms_need_is_computed(vit):
    local = make(vit, only("local")).draw("structure")
    assert set(local.features.keys) == {4}  # the semantic cost is made of keys
    assert set(local.features.tokens) == {1, 2, 3}
    assert not local.features.cls
    assert local.similarity is None
    calls = []
    hook = vit.embed.register_forward_hook(lambda *_: calls.append(1))
    pixels = make(vit, only("colour", "patches", "pixel_identity")).draw("appearance")
    hook.remove()
    assert not calls
    assert not pixels.features.cls


def test_scales_are_the_terms_between_the_two_pictures(vit):
    """Mean squares between the largest central squares, by loops."""
    targets = make(vit, tiny.settings())
    squares = STRUCTURE[..., 6:66], APPEARANCE[:, :, 7:57]
    seen = [vit(x, cls=[1, 2, 3, 4], keys=[4], short_side=56, long_side=112) for x in squares]

    def mean_square(a, b) -> float:
        values = [(x - y) ** 2 for x, y in zip(a, b, strict=True)]
        return sum(values) / len(values)

    assert set(targets.scales) == {
        *(("cls", b) for b in (1, 2, 3, 4)),
        ("keys", 4),
        ("similarity", 4),
    }
    for block in (1, 2, 3, 4):
        a, b = (each.cls[block][0].double().tolist() for each in seen)
        assert targets.scales["cls", block] == pytest.approx(mean_square(a, b), rel=1e-4)
    a, b = (each.keys[4].double().flatten().tolist() for each in seen)
    assert targets.scales["keys", 4] == pytest.approx(mean_square(a, b), rel=1e-4)
    a, b = ([x for row in similarity_by_loops(each.keys[4][0]) for x in row] for each in seen)
    assert targets.scales["similarity", 4] == pytest.approx(mean_square(a, b), rel=1e-4)


def test_a_picture_paired_with_itself_has_no_scale(vit):
    targets = make(vit, tiny.settings(), pair=(STRUCTURE, STRUCTURE))
    assert set(targets.scales.values()) == {1.0}


def test_another_precision_describes_views_anew(vit):
    targets = make(vit, views(pool=1))
    exact = targets.draw("structure")
    targets.forget(vit.at_precision(torch.bfloat16))
    rough = targets.draw("structure")
    assert rough.view == exact.view
    error = (rough.features.cls[4] - exact.features.cls[4]).norm() / exact.features.cls[4].norm()
    assert 0 < error < 0.1
