"""`splice train` and `splice paint`: what they write, and what they refuse in a sentence."""

import json
import shutil
from pathlib import Path

import pytest
import small_domain
from PIL import Image
from told import error_line

from splice.commands.cli import main

FILES = [
    "losses.csv",
    "losses.png",
    "model.safetensors",
    "previews.png",
    "progress.gif",
    "run.json",
]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> small_domain.SmallDomain:
    return small_domain.make(tmp_path_factory.mktemp("domain"))


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "scenes"
    assert main(["train", *small.options, f"--output={folder}", "--layer=spatial"]) == 0
    return folder


@pytest.fixture(scope="module")
def reading(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "reading"
    options = ["--condition=text", "--held-out=2", f"--output={folder}"]
    assert main(["train", *small.options, *options]) == 0
    return folder


def _refused(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert main([str(each) for each in arguments]) == 2
    return error_line(capsys)


@pytest.mark.slow
def test_a_training_leaves_its_model_and_story(trained, small):
    assert sorted(file.name for file in trained.iterdir()) == FILES
    record = json.loads((trained / "run.json").read_text())
    assert record["finished"]
    assert record["steps"] == 6
    assert record["domain"]["split"] == "train"
    assert record["domain"]["pictures"] == record["domain"]["learnt_from"] == 8
    assert record["domain"]["outliers"] == []
    lines = (trained / "losses.csv").read_text().splitlines()
    assert len(lines) == 7
    assert lines[0].split(",")[4:] == ["appearance", "structure", "identity", "pixels", "total"]
    with Image.open(trained / "previews.png") as sheet:
        assert sheet.width > 3 * small_domain.SIDE
    with Image.open(trained / "progress.gif") as lapse:
        assert getattr(lapse, "n_frames", 1) == 3


@pytest.mark.slow
def test_what_is_held_out_is_not_learnt_from(reading):
    record = json.loads((reading / "run.json").read_text())
    assert record["domain"]["held_out"] == ["train/000002.png", "train/000006.png"]
    assert record["domain"]["learnt_from"] == 6
    # Three steps of reading, whose terms are those of matching, and six of painting.
    assert record["steps"] == 9
    assert {"words", "sentences", "pictures", "appearance"} <= set(record["losses"])


@pytest.mark.slow
def test_a_finished_training_is_left_alone_and_another_is_not_begun_over_it(trained, small, capsys):
    before = (trained / "model.safetensors").stat().st_mtime_ns
    options = [*small.options, f"--output={trained}", "--layer=spatial", "--resume"]
    capsys.readouterr()
    assert main(["train", *options]) == 0
    assert capsys.readouterr().out.strip() == str(trained / "model.safetensors")
    assert (trained / "model.safetensors").stat().st_mtime_ns == before
    said = _refused(capsys, "train", *options, "--rank=4")
    assert "has --rank 8, not 4" in said
    said = _refused(capsys, "train", *options, "--steps=9")
    assert "is finished after --steps 6" in said
    assert "name another folder for a longer one" in said
    assert (trained / "model.safetensors").stat().st_mtime_ns == before
    assert sorted(file.name for file in trained.iterdir()) == FILES


@pytest.mark.slow
def test_a_finished_training_of_captions_is_not_begun_anew_for_more_steps(reading, small, capsys):
    before = (reading / "model.safetensors").read_bytes()
    options = [*small.options, "--condition=text", "--held-out=2", f"--output={reading}"]
    capsys.readouterr()
    assert main(["train", *options, "--resume"]) == 0
    capsys.readouterr()
    # Nine steps are recorded, three of reading and six of painting.
    for steps in (7, 9):
        assert "is finished after --steps 6" in _refused(
            capsys, "train", *options, "--resume", f"--steps={steps}"
        )
    assert (reading / "model.safetensors").read_bytes() == before


@pytest.mark.slow
def test_pictures_folders_mixtures_modes_and_masks_are_painted(trained, small, tmp_path, capsys):
    test, out = small.folder / "test", tmp_path / "out"
    first, second, third = sorted(test.glob("*.png"))
    capsys.readouterr()
    assert main(["paint", str(trained), str(first), str(second), f"--output={out}"]) == 0
    assert capsys.readouterr().out.split() == [str(out / f"{first.stem}--{second.stem}.png")]
    options = [f"--output={out}", "--mix", f"{second}:0.3", f"{third}:0.7"]
    assert main(["paint", str(trained / "model.safetensors"), str(test), *options]) == 0
    assert sorted(file.name for file in out.glob("*--mix.png")) == [
        f"{file.stem}--mix.png" for file in (first, second, third)
    ]
    assert (
        main(
            [
                "paint",
                str(trained),
                str(first),
                str(test),
                f"--output={out}",
                "--modes=2",
                "--masks",
            ]
        )
        == 0
    )
    for name in ("mode-1", "mode-2", "mode-1--masks"):
        with Image.open(out / f"{first.stem}--{name}.png") as picture:
            assert picture.height == small_domain.SIDE


@pytest.mark.slow
def test_the_same_command_paints_the_same_bytes(trained, small, tmp_path):
    first, second, _ = sorted((small.folder / "test").glob("*.png"))
    painted = []
    for name in "ab":
        folder = tmp_path / name
        assert main(["paint", str(trained), str(first), str(second), f"--output={folder}"]) == 0
        painted.append((folder / f"{first.stem}--{second.stem}.png").read_bytes())
    assert painted[0] == painted[1]


@pytest.mark.slow
def test_no_painting_is_written_over_another(trained, small, tmp_path, capsys):
    """Names that come twice, or that numbers, mixtures and masks have, too."""
    first, second, third = sorted((small.folder / "test").glob("*.png"))
    sources = {
        "a/cat": first,
        "b/cat": second,
        "cat-2": third,
        "mix": first,
        "cat-2--masks": second,
    }
    files = {name: tmp_path / f"{name}.png" for name in sources}
    for name, source in sources.items():
        files[name].parent.mkdir(exist_ok=True)
        shutil.copy(source, files[name])
    out, alone = tmp_path / "out", tmp_path / "alone"
    capsys.readouterr()
    appearances = [str(file) for file in files.values()]
    options = [f"--output={out}", "--masks", "--mix", f"{first}:1", f"{second}:1"]
    assert main(["paint", str(trained), str(first), *appearances, *options]) == 0
    written = capsys.readouterr().out.split()
    assert len(set(written)) == len(written) == 2 * (len(sources) + 1)
    assert sorted(written) == sorted(str(file) for file in out.iterdir())
    for place, source in enumerate(sources.values()):  # in order, each what its own look gives
        assert main(["paint", str(trained), str(first), str(source), f"--output={alone}"]) == 0
        wanted = (alone / f"{first.stem}--{source.stem}.png").read_bytes()
        assert Path(written[2 * place]).read_bytes() == wanted


@pytest.mark.slow
def test_captions_are_painted_and_unknown_words_told(reading, small, tmp_path, capsys):
    first = min((small.folder / "test").glob("*.png"))
    options = [f"--output={tmp_path}", "--text=a red striped ball", "--text=a blue plain box"]
    assert main(["paint", str(reading), str(first), *options]) == 0
    assert {file.name for file in tmp_path.glob("*.png")} == {
        f"{first.stem}--text-1.png",
        f"{first.stem}--text-2.png",
    }
    learnt = (small.folder / "train" / "000000.txt").read_text().splitlines()[0]
    told = [f"--output={tmp_path}", f"--text={learnt}"]
    unknown = [*told, f"--text={learnt} (qwertz, Mauve)", f"--text=mauve zebra {learnt}"]
    line = "words that the model does not know: qwertz, mauve, zebra"
    for arguments, wanted in ((told, []), (unknown, [line]), ([*unknown, "--quiet"], [])):
        capsys.readouterr()
        assert main(["paint", str(reading), str(first), *arguments]) == 0
        assert [
            said for said in capsys.readouterr().err.splitlines() if "not know" in said
        ] == wanted
    assert "knows no word" in _refused(capsys, "paint", reading, first, "--text=qwertz")
    assert "give --text" in _refused(capsys, "paint", reading, first, first)


@pytest.mark.slow
def test_what_cannot_be_painted_is_told_in_a_sentence(trained, reading, small, tmp_path, capsys):
    first = min((small.folder / "test").glob("*.png"))
    assert "there is no look" in _refused(capsys, "paint", trained, first)
    assert "a.png:0.3" in _refused(capsys, "paint", trained, first, "--mix", str(first))
    assert "needs one folder" in _refused(capsys, "paint", trained, first, first, "--modes=2")
    assert "holds no model" in _refused(capsys, "paint", small.folder, first, first)
    assert "does not exist" in _refused(capsys, "paint", trained, tmp_path / "no.png", first)
    assert "needs a model of the layer spatial" in _refused(
        capsys, "paint", reading, first, "--text=red", "--masks"
    )
    damaged = tmp_path / "damaged"
    shutil.copytree(trained, damaged)
    data = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(data[:-9])
    assert "is damaged" in _refused(capsys, "paint", damaged, first, first)


def test_what_cannot_be_learnt_is_told_in_a_sentence(small, tmp_path, capsys):
    output = f"--output={tmp_path / 'out'}"
    assert "--output is missing" in _refused(capsys, "train", small.folder)
    assert "is not a folder" in _refused(capsys, "train", tmp_path / "no", output)
    assert "--layer cannot be fulm" in _refused(
        capsys, "train", small.folder, output, "--layer=fulm"
    )
    assert "there is no option --layr" in _refused(
        capsys, "train", small.folder, output, "--layr=film"
    )
    assert "--batch cannot be 1" in _refused(capsys, "train", small.folder, output, "--batch=1")
    assert "nothing is learnt" in _refused(
        capsys,
        *("train", small.folder, output),
        *(f"--terms.{name}=0" for name in ("appearance", "structure", "identity", "pixels")),
    )
    assert "is the folder of the pictures itself" in _refused(
        capsys, "train", small.folder, f"--output={small.folder}"
    )
    assert "no such part" in _refused(capsys, "train", small.folder, output, "--split=val")
    for name in "ab":
        Image.new("RGB", (20, 20), "red").save(tmp_path / f"{name}.png")
    assert "holds no pictures with captions" in _refused(
        capsys, "train", tmp_path, output, "--condition=text"
    )
    assert not (tmp_path / "out").exists()
