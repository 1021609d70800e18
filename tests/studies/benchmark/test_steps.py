"""Steps sorted into kinds, and what measuring them gives."""

import json
from dataclasses import replace

import pytest
import tiny
from small_transfer import APPEARANCE, STRUCTURE, default_transfer, published_transfer

from splice.studies.benchmark.literal import LiteralLoop
from splice.studies.benchmark.steps import kinds_of, measure
from splice.studies.benchmark.table import as_data, as_text, heading


def test_kinds_cover_every_step_once():
    """The generator learns alone first; then the transformer sees what it paints."""
    transfer = default_transfer(steps=20, seen={"since": 0.1})
    kinds = {kind.name: kind.steps for kind in kinds_of(transfer)}
    assert kinds == {"lesson": [0, 1], "seen": list(range(2, 20))}
    assert transfer.step == 0
    alike = default_transfer(steps=20, seen={"since": 0.0})
    assert [kind.steps for kind in kinds_of(alike)] == [list(range(20))]
    assert kinds_of(default_transfer(steps=0)) == []


def test_kinds_of_the_published_method_cover_every_step_once():
    entire, views = kinds_of(published_transfer(steps=160))
    assert entire.steps == [0, 75, 150]
    assert views.steps == sorted(set(range(160)) - {0, 75, 150})
    assert "entire" in entire.name and "entire" not in views.name


@pytest.mark.slow
def test_a_measurement_adds_up():
    transfer = default_transfer(steps=4)
    model = tiny.standard().requires_grad_(False)

    def literal() -> LiteralLoop:
        return LiteralLoop(STRUCTURE, APPEARANCE, model, tiny.backbone(model))

    told = []
    found = measure(
        lambda: transfer, literal, rounds=2, tell=lambda done, rounds: told.append((done, rounds))
    )
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert sum(kind["steps"] for kind in found.kinds) == 4
    mean = sum(kind["steps"] * kind["step_seconds"] for kind in found.kinds) / 4
    assert found.step_seconds == pytest.approx(mean)
    assert [kind["name"] for kind in found.kinds] == ["lesson", "seen"]
    floor = sum(kind["steps"] * kind["floor_seconds"] for kind in found.kinds) / 4
    assert found.floor_seconds == pytest.approx(floor)
    assert found.output == (96, 64)
    assert found.literal_seconds is not None
    assert all(value >= 0 for value in found.parts.values())
    assert all(found.parts[part] > 0 for part in ("vit_backward", "generator_backward"))
    data = json.loads(json.dumps(as_data(found, {})))
    assert data["step_over_floor"] == pytest.approx(data["step_seconds"] / data["floor_seconds"])
    text = as_text(found)
    assert f"{1000 * found.step_seconds:,.1f} ms" in text
    assert "% of the chip" not in text
    assert "96 x 64 px" in heading(found, "tiny", "default")
    known = replace(found, device={"type": "cuda", "name": "X"}, peak_share=None)
    assert "not known" in as_text(known)
