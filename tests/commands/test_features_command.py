"""`splice features` end to end, on a tiny backbone from a file."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors
import safetensors.torch
import small_run
import torch
from PIL import Image

from splice.commands.cli import main

# splice features


def test_features_write_what_was_asked_for(small, backbone, tmp_path, capsys):
    out, saved = tmp_path / "out", tmp_path / "features.safetensors"
    arguments = [
        "features", str(small.structure), str(small.appearance), *backbone, f"--output={out}",
        "--size=64", "--block=2,5", "--kind", "keys", "self-similarity", "--point=10,20",
        "--correspondences", f"--save-features={saved}",
    ]  # fmt: skip
    assert main(arguments) == 0
    pairs = [f"{what}-keys-block{b:02}" for what in ("correspondences", "warped") for b in (2, 5)]
    expected = ["pca-keys", "pca-self-similarity", "attention-block02", "attention-block05"]
    expected = [*expected, "similarity-keys", *pairs]
    assert sorted(path.stem for path in out.iterdir()) == sorted(expected)
    printed = capsys.readouterr().out.split()
    assert sorted(printed) == sorted([*(str(out / f"{name}.png") for name in expected), str(saved)])
    with Image.open(out / "pca-keys.png") as grid:
        assert grid.width > 3 * 64 and grid.height > 2 * 64

    tensors = safetensors.torch.load_file(saved)
    assert tensors["0/keys/5"].shape == (1 + 4 * 5, 64)
    assert tensors["1/tokens/2"].shape == (5 * 4, 64)
    assert tensors["0/attention/2"].shape[1] == 20
    with safetensors.safe_open(saved, "pt") as file:
        about = json.loads(file.metadata()["splice"])
    assert about["grids"] == [[4, 5], [5, 4]]
    assert about["pictures"] == [str(small.structure), str(small.appearance)]


def test_saved_features_are_the_backbones(small, backbone, tmp_path):
    from splice.backbones import registry as backbones
    from splice.backbones.frozen_vit import FrozenViT
    from splice.pictures.images import read_image

    saved = tmp_path / "features.safetensors"
    arguments = ["features", str(small.structure), *backbone, f"--output={tmp_path / 'out'}"]
    assert main([*arguments, "--size=64", f"--save-features={saved}"]) == 0
    vit = FrozenViT.load("timm:test_vit", weights=small.weights)
    direct = vit(read_image(small.structure)[None], keys=[6], cls=[6], short_side=64, long_side=137)
    tensors = safetensors.torch.load_file(saved)
    torch.testing.assert_close(tensors["0/keys/6"], direct.keys[6][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(tensors["0/cls/6"], direct.cls[6][0], atol=1e-4, rtol=1e-4)
    assert backbones.find_backbone("timm:test_vit").blocks == 6


def test_features_of_one_picture(small, backbone, tmp_path, capsys):
    arguments = ["features", str(small.structure), *backbone, "--size=64"]
    out = tmp_path / "out"
    assert main([*arguments, f"--output={out}"]) == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["attention-block06.png", "pca-keys.png", "pca-self-similarity.png"]
    sheet = np.array(Image.open(io.BytesIO((out / "pca-keys.png").read_bytes())))
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--kind=key"], ["--kind", "key", "did you mean keys", "self-similarity"]),
        (["--block=7"], ["--block", "7", "blocks 1 to 6"]),
        (["--block=0"], ["--block", "blocks 1 to 6"]),
        (["--point=here"], ["--point", "X,Y"]),
        (["--point=96,3"], ["96,3", "X from 0 to 95 and Y from 0 to 71"]),
        (["--correspondences"], ["--correspondences", "two pictures, not 1"]),
        (["--size=10"], ["--size", "at least 32"]),
        (["--save-features=/nowhere/at/all"], ["/nowhere/at"]),
    ],
)
def test_mistakes_of_features_are_named(small, backbone, tmp_path, capsys, options, words):
    arguments = ["features", str(small.structure), *backbone, "--size=64", *options]
    assert main([*arguments, f"--output={tmp_path / 'out'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for word in words:
        assert word in line, line


def test_help_is_quick_to_import():
    """Neither command imports torch before its arguments are read."""
    code = (
        "import sys\n"
        "from splice.commands.cli import main\n"
        "for name in ('invert', 'features'):\n"
        "    assert main([name, '--help']) == 0\n"
        "    assert main([name, 'a.jpg', '--nonsense']) == 2\n"
        "assert 'torch' not in sys.modules\n"
    )
    environment = small_run.environment()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
