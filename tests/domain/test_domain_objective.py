"""The batched terms, against the formulas of the paper written out pair by pair in float64."""

import pytest
import torch
from tiny import frozen, generator, picture, rotary

from splice.domain.objective import (
    Seen,
    Usual,
    distances,
    paper_terms,
    pixel_term,
    see,
    weighted,
)


def _seen(seed: int, batch: int = 3) -> Seen:
    random = generator(seed)

    def draw(*shape: int):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    cls = draw(batch, 6), draw(batch, 6)
    return Seen(cls, draw(batch, 5, 6), draw(batch, 4, 6), cls[-1])


def _similarity(keys) -> list[list[float]]:
    unit = [key / key.norm() for key in keys]
    return [[float(a @ b) for b in unit] for a in unit]


def _apart(one, other) -> float:
    flat = zip(
        torch.as_tensor(one, dtype=torch.float64).flatten().tolist(),
        torch.as_tensor(other, dtype=torch.float64).flatten().tolist(),
        strict=True,
    )
    squares = [(a - b) ** 2 for a, b in flat]
    return sum(squares) / len(squares)


def test_terms_are_those_of_the_paper_over_the_distance_of_the_pair():
    output, itself, structure, appearance = (_seen(seed) for seed in range(4))
    # So little is usual that every pair is measured by itself.
    little = torch.tensor(1e-9, dtype=torch.float64)
    usual = Usual(little.expand(2), little, little, little)
    found = paper_terms(output, itself, structure, appearance, usual)
    look, shape, same = [], [], []
    for pair in range(3):
        for block in range(2):
            o, s, t = (each.cls[block][pair] for each in (output, structure, appearance))
            look.append(_apart(o, t) / _apart(s, t))
        similar = [_similarity(each.keys[pair]) for each in (output, structure, appearance)]
        shape.append(_apart(similar[0], similar[1]) / _apart(similar[2], similar[1]))
        i, s, t = (each.keys[pair] for each in (itself, structure, appearance))
        same.append(_apart(i, t) / _apart(s, t))
    expected = {"appearance": look, "structure": shape, "identity": same}
    for name, values in expected.items():
        assert abs(float(found[name]) - sum(values) / len(values)) < 1e-9, name


def test_a_pair_that_is_nearly_alike_is_measured_by_half_of_what_is_usual():
    output, structure = _seen(0), _seen(1)
    far = distances(output, structure)
    usual = Usual.of(far)
    found = paper_terms(output, structure, structure, structure, usual)
    expected = (far.cls / (0.5 * usual.cls[:, None])).mean()
    assert torch.allclose(found["appearance"], expected)
    assert torch.allclose(found["structure"], (far.similarity / (0.5 * usual.similarity)).mean())
    assert found["identity"] == 0


def test_what_is_usual_is_the_median():
    far = distances(_seen(0, 5), _seen(1, 5))
    usual = Usual.of(far)
    assert torch.equal(usual.cls, far.cls.sort(1).values[:, 2])
    assert torch.equal(usual.similarity, far.similarity.sort().values[2])


def test_a_structure_image_unchanged_has_won_nothing_and_lost_nothing():
    structure, appearance = _seen(0), _seen(1)
    usual = Usual.of(distances(structure, appearance))
    little = usual.keys * 1e-9
    tiny = Usual(usual.cls * 1e-9, usual.similarity * 1e-9, little, little)
    found = paper_terms(structure, structure, structure, appearance, tiny)
    assert abs(float(found["appearance"]) - 1) < 1e-12
    assert found["structure"] == 0
    assert abs(float(found["identity"]) - 1) < 1e-12


def test_a_batch_is_seen_as_its_pictures_one_by_one():
    for vit in (frozen(), frozen(rotary())):
        images = torch.stack([picture(60, 60, seed) for seed in range(3)])
        together = see(images, vit, [2, 4], 56)
        for index in range(3):
            alone = see(images[index : index + 1], vit, [2, 4], 56)
            features = vit(
                images[index : index + 1], cls=[2, 4], keys=[4], tokens=[4], short_side=56
            )
            for block, cls in zip((2, 4), alone.cls, strict=True):
                assert torch.equal(cls, features.cls[block])
            shallow = see(images[index : index + 1], vit, [2], 56)
            assert len(shallow.cls) == 1
            for seen in (alone, shallow):  # whatever is compared
                assert torch.equal(seen.deepest, features.cls[4])
            assert torch.equal(alone.keys, features.keys[4])
            assert torch.equal(alone.tokens, features.tokens[4])
            cut = together[index : index + 1]
            assert torch.allclose(cut.cls[1], alone.cls[1], atol=1e-5)
            assert torch.allclose(cut.keys, alone.keys, atol=1e-5)


def _counts(image, row: int, column: int) -> float:
    """How much a pixel counts: five times as much where it differs from what is around it."""
    around = image[:, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].double()
    edge = float((image[:, row, column] - around.mean((1, 2))).abs().mean())
    return 1 + 4 * edge / (edge + 0.05)


def test_pixels_are_compared_at_four_sizes_and_most_beside_edges():
    a, b = (torch.stack([picture(16, 8, seed + i) for i in range(2)]) for seed in (0, 5))
    means = []
    for side in (1, 2, 4, 8):
        found, counts = [], []
        for number in range(2):
            for row in range(0, 16, side):
                for column in range(0, 8, side):
                    cell = (a - b)[number, :, row : row + side, column : column + side].double()
                    found.append(float(cell.mean((1, 2)).abs().mean()))
                    counts.append(_counts(b[number], row, column) if side == 1 else 1.0)
        means.append(sum(x * y for x, y in zip(found, counts, strict=True)) / sum(counts))
    assert float(pixel_term(a, b)) == pytest.approx(sum(means) / 4, rel=1e-5)


def test_stripes_that_begin_elsewhere_differ_less_than_none():
    columns = torch.arange(32)
    striped, moved, plain = (
        x.float().expand(1, 3, 32, 32) for x in (columns % 2 < 1, columns % 2 >= 1, columns < 0)
    )
    # Weights of pixels round.
    assert float(pixel_term(striped, moved)) == pytest.approx(0.25)
    assert pixel_term(striped, plain) == 0.5


def test_weights():
    terms = {"one": torch.tensor(2.0), "other": torch.tensor(5.0), "absent": torch.tensor(7.0)}
    found = weighted(terms, {"one": 3.0, "other": 0.5, "absent": 0.0})
    assert found == {"one": 6.0, "other": 2.5, "total": 8.5}
