"""The files of a run: what they are called, how they are known, and what does not go together."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import small_run
from picture_files import ADOBE_RGB, icc_profile, noise
from PIL import Image

from splice.commands.transfer import main
from splice.errors import InputError
from splice.method.settings import Settings
from splice.running.checkpoint import refuse_differences
from splice.running.inputs import Files, recorded_sums
from splice.running.outputs import RunFolder
from splice.running.presets import load_preset


def save(path: Path, height: int, width: int, columns: slice = slice(0, 0)) -> Path:
    """Black, with white columns."""
    values = np.zeros((height, width), dtype=np.uint8)
    values[:, columns] = 255
    Image.fromarray(values).save(path)
    return path


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def files(folder: Path) -> Files:
    """Two looks, the second with a mask."""
    names = [save(folder / f"{n}.png", 40, 60) for n in range(3)]
    masks = [save(folder / f"m{n}.png", 20, 30, slice(0, 9 + n)) for n in range(2)]
    return Files.of(names[0], names[1:], Settings(), masks[0], [None, masks[1]])


def test_all_files_are_known_by_their_sums(tmp_path):
    given = files(tmp_path)
    expected = {
        "structure image": "0.png",
        "structure mask": "m0.png",
        "appearance image": "1.png",
        "appearance image 2": "2.png",
        "appearance mask 2": "m1.png",
    }
    sums = {w: hashlib.sha256((tmp_path / f).read_bytes()).hexdigest() for w, f in expected.items()}
    assert given.sums() == sums
    record = given.record(given.sums(), given.read(64))
    assert recorded_sums(record) == sums
    assert record["structure"]["mask"]["file"] == str(tmp_path / "m0.png")
    assert record["more_appearances"][0]["size"] == [60, 40]


def test_masks_are_read_at_their_pictures_sizes(tmp_path):
    pictures = files(tmp_path).read(20)
    assert pictures.structure.shape == (3, 20, 30)
    first, second = pictures.appearance_masks
    assert pictures.structure_mask is not None and first is None and second is not None
    assert pictures.structure_mask.shape == second.shape == (20, 30)
    assert (pictures.structure_mask.sum().item(), second.sum().item()) == (180, 200)
    assert pictures.masks.keys() == {"structure_mask", "appearance_mask"}


def test_steps_go_by_the_structure_images_size(tmp_path):
    wide, square = save(tmp_path / "wide.png", 512, 1024), save(tmp_path / "square.png", 600, 600)
    settings = Settings(seed=3)
    assert Files.of(wide, square, settings).settled(settings) == Settings(seed=3, steps=250)
    assert Files.of(square, wide, settings).settled(settings) == Settings(seed=3, steps=500)
    assert Files.of(wide, square, settings).settled(Settings(steps=9)).steps == 9


def test_a_plain_pair_is_given_as_before(tmp_path):
    one, two = (save(tmp_path / name, 40, 60) for name in ("a.png", "b.png"))
    pictures = Files.of(one, two, Settings()).read(64)
    assert pictures.pair[1] is pictures.appearances[0]
    assert pictures.masks == {}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"appearance_mask": ["m.png"]}, "--appearance-mask names 1 files for 2"),
        ({"settings": Settings(look_weights=(1, 2, 3))}, "--look-weights has 3 numbers for 2"),
        ({"settings": load_preset("paper")}, "published method takes no masks and one"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_read(more, words):
    given = {"structure": "s.png", "appearance": ["a.png", "b.png"], "settings": Settings()}
    with pytest.raises(InputError, match=words):
        Files.of(**given | more)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({}, {"structure mask": "b" * 64}, "has no structure mask, and this one has one"),
        ({"appearance mask": "b" * 64}, {}, "has one appearance mask, and this one has none"),
        ({"structure mask": "a" * 64}, {"structure mask": "b" * 64}, "another structure mask"),
    ],
)
def test_a_run_goes_on_with_the_same_masks_alone(before, now, words):
    same = {"structure image": "c" * 64}
    with pytest.raises(InputError, match=words):
        refuse_differences({}, {}, same | before, same | now, Path("out"))
    refuse_differences({}, {}, same | before, same | before | {"weights": "d"}, Path("out"))


@pytest.mark.parametrize("option", ["--strength=0", "--structure-mask=mask.png"])
@pytest.mark.parametrize("channels", [3, 4])
def test_what_is_not_painted_keeps_its_bytes_in_a_profile(tmp_path, monkeypatch, option, channels):
    monkeypatch.chdir(tmp_path)
    small = small_run.make(tmp_path)
    stored = noise(64, 86, channels)
    Image.fromarray(stored).save("wide.png", icc_profile=icc_profile(2.2, ADOBE_RGB))
    save(tmp_path / "mask.png", 64, 86, slice(0, 40))
    words = ["wide.png", str(small.appearance), *small.options, "--steps=0", "--output=out.png"]
    assert main([*words, option, "--quiet"], "splice transfer") == 0
    with Image.open("out.png") as picture:
        written = np.asarray(picture)
    outside = slice(0, 86) if "strength" in option else slice(40, 86)
    np.testing.assert_array_equal(written[:, outside], stored[:, outside])


@pytest.mark.slow
def test_a_run_with_masks_and_two_looks_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = small_run.make(tmp_path)
    before = pixels(small.structure)
    mask = save(tmp_path / "mask.png", *before.shape[:2], slice(0, 40))
    looks = [str(small.appearance), str(small.structure)]
    masks = [str(save(tmp_path / "look.png", 90, 70, slice(0, 50))), str(mask)]
    options = [
        *small.options,
        "--size=2160",
        "--painted=48",
        "--steps=3",
        "--output=out",
        "--quiet",
    ]
    words = [
        "--structure-mask",
        str(mask),
        "--look-weights",
        "1",
        "0.5",
        "--appearance-mask",
        *masks,
    ]
    assert main([str(small.structure), *looks, *options, *words], "splice transfer") == 0
    after = pixels(tmp_path / "out" / "output.png")
    outside = pixels(mask)[..., 0] == 0
    assert before.shape == after.shape
    assert (before[outside] == after[outside]).all()
    assert np.abs(before[~outside] - after[~outside]).mean() > 4
    record = RunFolder(tmp_path / "out").read_record()
    assert record is not None and record["settings"]["look_weights"] == [1, 0.5]
    assert record["structure"]["mask"]["sha256"] == hashlib.sha256(mask.read_bytes()).hexdigest()
    again = [*options, *words, "--resume"]
    assert main([str(small.structure), *looks, *again], "splice transfer") == 0
    with pytest.raises(InputError, match="has one structure mask, and this one has none"):
        main([str(small.structure), *looks, *options, *words[2:], "--resume"], "splice transfer")
