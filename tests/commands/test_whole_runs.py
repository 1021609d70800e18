"""Whole runs of `splice transfer`, from the command line to the picture."""

import subprocess
import sys
from pathlib import Path

import pytest
import small_run
from PIL import Image

from splice.commands.cli import main


@pytest.mark.slow
def test_a_whole_run_from_the_command_line(small, tmp_path):
    """Two pictures in, the picture's path on the standard output; twice, two folders."""
    for suffix in ("", "-2"):
        done = subprocess.run(
            [*small_run.command(stand_in=True), *small.arguments, "--steps=5"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=small_run.environment(),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        picture = Path("outputs") / f"structure--appearance{suffix}" / "output.png"
        assert done.stdout == f"{picture}\n"
        assert (tmp_path / picture).is_file()
        assert "step 5/5" in done.stderr
        assert "self_sim" in done.stderr


def _quick(small, tmp_path: Path, *options: str) -> Path:
    """The folder of a run of the preset `quick`, with the real method, in this process."""
    line = [option for option in small.arguments if not option.startswith("--size")]
    output = tmp_path / "out"
    arguments = ["transfer", *line, "--preset=quick", "--quiet", f"--output={output}", *options]
    assert main(arguments) == 0
    return output


def test_the_quick_preset_gives_the_toned_picture(small, tmp_path, capsys):
    import json

    import numpy as np
    import torch

    from splice.backbones.frozen_vit import FrozenViT
    from splice.backbones.precision import precision_of
    from splice.method.appearances import Appearance
    from splice.method.painting import Painting
    from splice.method.settings import Settings
    from splice.pictures.images import read_image

    folder = _quick(small, tmp_path)
    assert capsys.readouterr().out == f"{folder / 'output.png'}\n"
    record = json.loads((folder / "run.json").read_text())
    assert record["finished"] is True and record["steps"] == 0
    assert all(value is not None for value in record["scores"].values())
    assert (folder / "losses.csv").read_text() == "step,seconds,skipped,precision\n"
    vit = FrozenViT.load("timm:test_vit", weights=small.weights)
    settings = Settings.model_validate(record["settings"])
    vit = vit.at_precision(precision_of(settings.precision, torch.device("cpu")))
    pair = [read_image(file)[None] for file in (small.structure, small.appearance)]
    painting = Painting(pair[0], [Appearance(pair[1])], settings, vit, torch.Generator())
    toned = painting.first(0, pair[0])[0]
    with Image.open(folder / "output.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float) / 255
    wanted = toned.permute(1, 2, 0).numpy()
    assert np.abs(pixels - wanted).max() < 1.5 / 255
    # It is neither of the two pictures that it was made from.
    assert np.abs(wanted - pair[0][0].permute(1, 2, 0).numpy()).mean() > 0.02


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ([], (96, 72)),  # the structure image's own
        (["--size=64"], (85, 64)),
        (["--size=500"], (96, 72)),
        (["--painted=40"], (96, 72)),
        (["--painted=40", "--size=64"], (85, 64)),
    ],
)
def test_the_output_is_as_large_as_the_structure_image_or_as_asked(small, tmp_path, options, size):
    folder = _quick(small, tmp_path, *options)
    with Image.open(folder / "output.png") as picture:
        assert picture.size == size


@pytest.mark.slow
def test_painting_at_another_size_is_another_picture(small, tmp_path):
    from splice.pictures.images import read_image

    pictures = {
        read_image(_quick(small, tmp_path / name, *options) / "output.png").numpy().tobytes()
        for name, options in (("a", []), ("b", ["--painted=40"]), ("c", ["--painted=72"]))
    }
    assert len(pictures) == 2  # 72 pixels are all there are


def test_resuming_with_other_settings_is_refused(small, tmp_path, monkeypatch, capsys):
    import stand_in

    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())
    output = ["--output", str(tmp_path / "out")]
    line = ["transfer", *small.arguments, *output, "--steps=4", "--quiet"]
    assert main(line) == 0
    assert main([*line, "--resume"]) == 0
    capsys.readouterr()
    assert main([*line, "--resume", "--seed=7"]) == 2
    assert "--seed 0, not 7" in capsys.readouterr().err
