"""Matches of patches against plain loops, and what they give up for equal shares."""

import numpy as np
import pytest
import tiny
import torch

from splice.matching import balance, matching


def test_matching_is_a_softmax_over_the_other_picture():
    similarity = torch.rand(4, 6, generator=tiny.generator(), dtype=torch.float64) * 2 - 1
    found = matching(similarity, 0.1)
    for i in range(4):
        powers = [np.exp(float(s) / 0.1) for s in similarity[i]]
        for j in range(6):
            assert found[i, j].item() == pytest.approx(powers[j] / sum(powers), rel=1e-9)
    assert torch.equal(matching(similarity, 1e-3).argmax(1), similarity.argmax(1))
    ones = torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(matching(similarity, 1e-4).sum(1), ones)


def test_matching_with_an_endless_reach_uses_all_of_the_other_picture():
    similarity = torch.rand(12, 8, generator=tiny.generator(), dtype=torch.float64)
    similarity[:, 0] += 1  # a patch that all would take
    equal = matching(similarity, 0.2, 2.0)
    # Sinkhorn's fixed point: rows and columns of exp(similarity / temperature), scaled in turns.
    scaled = (similarity / 0.2).exp()
    for _ in range(500):
        scaled = scaled / scaled.sum(0) * 12 / 8
        scaled = scaled / scaled.sum(1, keepdim=True)
    torch.testing.assert_close(equal, scaled, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.02, 0.002])  # by products, and by sums of exponentials
def test_balance_follows_its_plain_iteration(temperature: float):
    similarity = torch.rand(9, 7, generator=tiny.generator())
    similarity[:, 0] += 0.5
    reach, start = 0.1, torch.linspace(-0.05, 0.05, 7)
    expected = start.double().numpy()
    for _ in range(5):
        logits = (similarity.double().numpy() + expected) / temperature
        rows = [np.logaddexp.reduce(row) for row in logits]
        logits = similarity.double().numpy() / temperature
        for j in range(7):
            taken = np.logaddexp.reduce([logits[i, j] - rows[i] for i in range(9)])
            equal = temperature * (np.log(9 / 7) - taken)
            expected[j] = min(max(equal, -reach), reach)
    found = balance(similarity, temperature, reach, start, 5)
    assert float(found.abs().max()) == pytest.approx(
        reach
    )  # some columns give up all that they may
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), rtol=0, atol=1e-6)


def test_matching_gives_up_no_more_similarity_than_its_reach():
    similarity = torch.rand(12, 8, generator=tiny.generator(), dtype=torch.float64)
    similarity[:, 0] += 1
    temperature, reach, share = 0.2, 0.15, 12 / 8
    free, found = matching(similarity, temperature), matching(similarity, temperature, reach)
    torch.testing.assert_close(found.sum(1), torch.ones(12, dtype=torch.float64))
    # What the columns gained on the softmax, up to a constant of each row.
    gained = temperature * (found / free).log()
    gained = gained - gained[:, :1]
    torch.testing.assert_close(gained, gained[:1].expand_as(gained))
    column = gained[0] - reach  # the column that all would take gives up all that it may
    taken = found.sum(0)
    assert float(taken[0]) > share and float(column[0]) == pytest.approx(-reach)
    for j in range(8):
        # Equal shares where the reach suffices; else all of it, in the direction that helps.
        if abs(float(column[j])) < reach - 1e-6:
            assert float(taken[j]) == pytest.approx(share, rel=0.01)
        else:
            assert float(column[j]) * (share - float(taken[j])) > 0
    assert bool((column.abs() <= reach + 1e-9).all())
