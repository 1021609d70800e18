"""Strokes of the brush, as masks that a run reads."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from splice.errors import InputError
from splice.pictures.masks import read_mask
from splice.studio import masks
from splice.studio.masks import write_mask


def _strokes(alpha: np.ndarray, kind: str = "PNG") -> str:
    values = np.zeros((*alpha.shape, 4), np.uint8)
    values[..., 0], values[..., 3] = 224, alpha
    buffer = io.BytesIO()
    picture = Image.fromarray(values)
    (picture if kind == "PNG" else picture.convert("RGB")).save(buffer, kind)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_strokes_are_white_and_the_rest_black(tmp_path):
    alpha = np.zeros((30, 40), np.uint8)
    alpha[5:12, 10:33] = 255
    alpha[20, 20] = 90  # the soft edge of a stroke
    file = write_mask(_strokes(alpha), tmp_path / "mask.png")
    picture = torch.zeros(3, 30, 40)
    found = read_mask(file, picture, "picture").numpy()
    assert np.array_equal(found, (alpha == 255).astype(np.float32))


def test_no_stroke_is_no_mask(tmp_path):
    file = tmp_path / "mask.png"
    assert write_mask(_strokes(np.zeros((30, 40), np.uint8)), file) is None
    assert not file.exists()


@pytest.mark.parametrize("kind", ["nothing", "text", "address", "jpeg", "cut", "large", "long"])
def test_what_is_no_stroke_is_refused(tmp_path, kind, monkeypatch):
    good = _strokes(np.full((30, 40), 255, np.uint8))
    strokes = {
        "nothing": "",
        "text": "hello",
        "address": "http://127.0.0.1/x.png",
        "jpeg": _strokes(np.full((30, 40), 255, np.uint8), "JPEG"),
        "cut": good[:60],
        "large": _strokes(np.full((2, masks.MOST_SIDE + 1), 255, np.uint8)),
        "long": good + "A" * masks.MOST_TEXT,
    }[kind]
    with pytest.raises(InputError):
        write_mask(strokes, tmp_path / "mask.png")
    assert not (tmp_path / "mask.png").exists()
