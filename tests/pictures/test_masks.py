"""Masks as files: how they are read, and where pairs have them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from splice.errors import InputError
from splice.pictures.masks import read_mask
from splice.pictures.pairs import plan_pairs

PICTURE = torch.zeros(3, 40, 60)


def save(path: Path, values, mode: str | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=np.uint8), mode).save(path, **options)
    return path


def half(height: int = 40, width: int = 60) -> np.ndarray:
    """White on the left."""
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[:, : width // 2] = 255
    return mask


def test_black_is_0_and_white_is_1_and_grey_between(tmp_path):
    values = half()
    values[0] = np.linspace(0, 255, 60)
    mask = read_mask(save(tmp_path / "m.png", values), PICTURE, "p.png")
    assert mask.shape == (40, 60)
    assert torch.equal(mask[1:], torch.from_numpy(half()[1:]).float() / 255)
    grey = mask[0].tolist()
    assert grey == sorted(grey) and grey[0] == 0 and grey[-1] == 1
    assert grey[30] == pytest.approx(values[0, 30] / 255, abs=0.02)


def test_specks_of_compression_are_black_and_white(tmp_path):
    file = save(tmp_path / "m.jpg", half(), quality=60)
    assert len(np.unique(np.asarray(Image.open(file)))) > 2
    mask = read_mask(file, PICTURE, "p.png")
    assert bool((mask[:, :28] == 1).all()) and bool((mask[:, 32:] == 0).all())


@pytest.mark.parametrize("size", [(20, 30), (160, 240), (67, 101)])
def test_a_mask_is_brought_to_its_picture_s_size(tmp_path, size):
    mask = read_mask(save(tmp_path / "m.png", half(*size)), PICTURE, "p.png")
    assert mask.shape == (40, 60)
    assert bool((mask[:, :27] == 1).all()) and bool((mask[:, 33:] == 0).all())
    assert mask.min() == 0 and mask.max() == 1


def test_what_is_transparent_is_black(tmp_path):
    white = np.full((40, 60, 4), 255)
    white[..., 3] = half()
    mask = read_mask(save(tmp_path / "m.png", white, "RGBA"), PICTURE, "p.png")
    assert torch.equal(mask, torch.from_numpy(half()).float() / 255)


def test_a_mask_is_turned_upright_with_its_transparency(tmp_path):
    """Orientation 6: to be turned by a quarter clockwise."""
    white = np.full((60, 40, 4), 255)
    white[..., 3] = np.rot90(half())
    exif = Image.Exif()
    exif[0x0112] = 6
    file = save(tmp_path / "m.png", white, "RGBA", exif=exif)
    mask = read_mask(file, PICTURE, "p.png")
    assert torch.equal(mask, torch.from_numpy(half()).float() / 255)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((40, 60)), ["no white", "paint white"]),
        (np.full((40, 60), 100), ["no white"]),
        (half(60, 40), ["40 x 60", "aspect ratio", "cow.jpg", "60 x 40"]),
    ],
)
def test_what_is_no_mask_of_the_picture_is_refused(tmp_path, values, words):
    file = save(tmp_path / "m.png", values)
    with pytest.raises(InputError) as caught:
        read_mask(file, PICTURE, "cow.jpg")
    assert str(file) in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "m.png").touch()
    with pytest.raises(InputError, match=r"m\.png is empty"):
        read_mask(tmp_path / "m.png", PICTURE, "cow.jpg")


# In pairs.


def pair_folder(folder: Path, *masks: str) -> Path:
    for name in ("A/horse.png", "B/zebra.png", *masks):
        save(folder / name, half())
    return folder


@pytest.mark.parametrize("mask", ["mask.png", "Mask.JPG"])
def test_a_pair_folder_may_hold_masks(tmp_path, mask):
    folder = pair_folder(tmp_path, f"A/{mask}", f"B/{mask}")
    for direction, parts in (("AtoB", "AB"), ("BtoA", "BA")):
        (pair,) = plan_pairs(folder, direction=direction).pairs
        assert [pair.structure.parent.name, pair.appearance.parent.name] == list(parts)
        assert [pair.structure_mask, pair.appearance_mask] == [folder / p / mask for p in parts]
        assert pair.structure.stem != "mask" != pair.appearance.stem


def test_masks_of_a_pair_folder_are_optional(tmp_path):
    (pair,) = plan_pairs(pair_folder(tmp_path, "B/mask.png")).pairs
    assert (pair.structure_mask, pair.appearance_mask) == (None, tmp_path / "B" / "mask.png")


def test_a_mask_alone_is_no_picture_and_two_are_too_many(tmp_path):
    save(tmp_path / "one" / "A" / "mask.png", half())
    save(tmp_path / "one" / "B" / "zebra.png", half())
    with pytest.raises(InputError, match="no pictures besides its mask"):
        plan_pairs(tmp_path / "one")
    with pytest.raises(InputError, match="holds 2 masks"):
        plan_pairs(pair_folder(tmp_path / "two", "A/mask.png", "A/mask.jpg"))


def manifest(folder: Path, kind: str, row: dict[str, str]) -> Path:
    path = folder / f"pairs.{kind}"
    csv = f"{','.join(row)}\n{','.join(row.values())}\n"
    path.write_text(csv if kind == "csv" else json.dumps(row))
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_manifest_may_name_masks(tmp_path, kind):
    folder = pair_folder(tmp_path, "A/mask.png", "B/2.png")
    row = {"structure": "A/horse.png", "appearance": "B/zebra.png"}
    masks = {"structure_mask": "A/mask.png", "appearance_mask": "B/2.png"}
    (pair,) = plan_pairs(manifest(folder, kind, row | masks)).pairs
    assert pair.structure_mask == folder / "A" / "mask.png"
    assert pair.appearance_mask == folder / "B" / "2.png"
    assert pair.settings == {}
    (pair,) = plan_pairs(manifest(folder, kind, row)).pairs
    assert pair.structure_mask is None and pair.appearance_mask is None


@pytest.mark.parametrize(
    ("mask", "words"),
    [("gone.png", "does not exist"), ("../out.png", "outside"), ("bad.png", "not a picture")],
)
def test_a_wrong_mask_of_a_manifest_is_told_with_its_line(tmp_path, mask, words):
    folder = pair_folder(tmp_path / "in")
    save(tmp_path / "out.png", half())
    (folder / "bad.png").write_text("nothing")
    row = {"structure": "A/horse.png", "appearance": "B/zebra.png", "structure_mask": mask}
    with pytest.raises(InputError, match=f"line 2.*{words}"):
        plan_pairs(manifest(folder, "csv", row))
