"""The notebook of docs/ runs, cell by cell, on small pictures and with a small backbone."""

import json
from typing import Any

import numpy as np
import pytest
import small_run
import tiny
from PIL import Image

from splice.analysis.scores.metrics import Scores
from splice.pictures.images import to_pil

DOCS = small_run.ROOT / "docs"


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs(monkeypatch):
    notebook = json.loads((DOCS / "in-memory.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)
    monkeypatch.chdir(DOCS)  # as Jupyter does
    names: dict[str, Any] = {}
    for cell in cells:
        if "backbone" not in cell["metadata"].get("tags", []):
            exec("".join(cell["source"]), names)
            continue
        assert names["structure"].size == (1024, 682)  # the sample pair is found
        names["structure"].close()
        names["appearance"].close()
        names["structure"] = to_pil(tiny.picture(40, 56, seed=1))
        names["appearance"] = to_pil(tiny.picture(48, 40, seed=2))
        names["settings"] = tiny.settings(steps=3, device="cpu")
        names["vit"] = tiny.frozen()
    assert isinstance(names["painted"], Image.Image)
    painted = np.asarray(names["painted"])
    assert painted.shape == (40, 56, 3)
    assert np.array_equal(np.asarray(names["watched"]), painted)
    assert [picture.size for picture in names["so_far"]] == [(56, 40)] * 3
    assert names["strip"].size == (3 * 56, 40)
    np.testing.assert_allclose(names["array"], painted / 255, atol=0.51 / 255)
    wanted = eval("".join(cells[-1]["source"]), names)
    assert isinstance(wanted, Scores) and np.isfinite(wanted.texture)
