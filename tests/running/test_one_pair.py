"""The whole in memory: any kind of picture in, the kind that is asked for out."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from splice.analysis.scores.metrics import score
from splice.errors import InputError
from splice.pictures.images import to_pil, write_image
from splice.running.one_pair import splice_pair

SETTINGS = tiny.settings(steps=2, device="cpu")


@pytest.fixture(scope="module")
def vit():
    return tiny.frozen()


@pytest.fixture(scope="module")
def levels() -> tuple[np.ndarray, np.ndarray]:
    """A pair in 8 bits, so that every kind of it can be the same."""
    sides = ((40, 56, 1), (48, 40, 2))
    first, second = (np.asarray(to_pil(tiny.picture(h, w, seed))) for h, w, seed in sides)
    return first, second


@pytest.fixture(scope="module")
def wanted(levels, vit) -> torch.Tensor:
    return splice_pair(*levels, SETTINGS, vit=vit)


def _as_file(values: np.ndarray, folder: Path, name: str) -> Path:
    Image.fromarray(values).save(folder / name)
    return folder / name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "name", "pil", "tensor", "floats"])
def test_every_kind_of_picture_gives_the_same(levels, vit, wanted, tmp_path, kind):
    make = {
        "file": lambda values, name: _as_file(values, tmp_path, name),
        "name": lambda values, name: str(_as_file(values, tmp_path, name)),
        "pil": lambda values, name: Image.fromarray(values),
        "tensor": lambda values, name: torch.from_numpy(values.copy()).movedim(-1, 0),
        "floats": lambda values, name: values.astype(np.float32) / 255,
    }[kind]
    pair = [make(values, name) for values, name in zip(levels, ("a.png", "b.png"), strict=True)]
    output = splice_pair(*pair, SETTINGS, vit=vit)
    assert output.dtype == torch.float32 and output.shape == (3, 40, 56)
    assert torch.equal(output, wanted)


@pytest.mark.slow
def test_the_caller_chooses_what_is_returned(levels, vit, wanted):
    picture = splice_pair(*levels, SETTINGS, vit=vit, kind="pil")
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), np.asarray(to_pil(wanted)))
    array = splice_pair(*levels, SETTINGS, vit=vit, kind="numpy")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, wanted.permute(1, 2, 0).numpy())


@pytest.mark.slow
def test_transparency_goes_through(levels, vit):
    alpha = np.tile(np.linspace(0, 255, 56).round().astype(np.uint8), (40, 1))
    clear = np.concatenate([levels[0], alpha[..., None]], -1)
    picture = splice_pair(clear, levels[1], SETTINGS, vit=vit, kind="pil")
    assert picture.mode == "RGBA"
    assert np.array_equal(np.asarray(picture.getchannel("A")), alpha)
    array = splice_pair(clear, levels[1], SETTINGS, vit=vit, kind="numpy")
    np.testing.assert_allclose(array[..., 3], alpha / 255, atol=1e-6)
    plain = splice_pair(clear, levels[1], SETTINGS, vit=vit)
    # Where the painting is not darker than what shines through, over white it is the painting.
    white = 1 - alpha[..., None] / 255
    over_white = array[..., :3] * array[..., 3:] + white
    bright = np.maximum(plain.permute(1, 2, 0).numpy(), white)
    np.testing.assert_allclose(over_white[alpha > 0], bright[alpha > 0], atol=1e-5)


@pytest.mark.slow
def test_the_watcher_sees_the_picture_so_far_and_disturbs_nothing(levels, vit, wanted):
    seen = []
    output = splice_pair(
        *levels, SETTINGS, vit=vit, callback=lambda step: seen.append((step.step, step.output()))
    )
    assert torch.equal(output, wanted)
    assert [number for number, _ in seen] == [1, 2]
    assert all(picture.shape == (3, 40, 56) for _, picture in seen)
    assert torch.equal(seen[-1][1], wanted)
    assert not torch.equal(seen[0][1], wanted)


def test_scores_of_pictures_of_any_kind(levels, vit, tmp_path):
    first, second = levels
    tensors = [torch.from_numpy(x.copy()).movedim(-1, 0).float() / 255 for x in (first, second)]
    whole = score(vit, tensors[1], tensors[0], tensors[1])
    file = tmp_path / "a.png"
    write_image(file, tensors[0])
    assert score(vit, second, file, Image.fromarray(second)) == whole


def test_what_cannot_be(levels, vit):
    unchecked: Any = inspect.unwrap(splice_pair)  # as outside of tests
    with pytest.raises(InputError, match="kind 'jpeg' cannot be returned"):
        unchecked(*levels, SETTINGS, vit=vit, kind="jpeg")
    with pytest.raises(InputError, match="the structure image holds floats"):
        splice_pair(levels[0] * 1.0, levels[1], SETTINGS, vit=vit)
    with pytest.raises(InputError, match="the appearance image has 40 x 9 pixels"):
        splice_pair(levels[0], levels[1][:9], SETTINGS, vit=vit)
    with pytest.raises(InputError, match=r"nowhere\.jpg does not exist"):
        splice_pair("nowhere.jpg", levels[1], SETTINGS, vit=vit)
