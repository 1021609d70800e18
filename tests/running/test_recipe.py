"""What a PNG says of how it was made, and what a run keeps of its structure image's file."""

import hashlib
import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import small_run
import stand_in
from picture_files import ADOBE_RGB, icc_profile
from PIL import Image

from splice import __version__
from splice.errors import InputError
from splice.method.settings import Settings
from splice.pictures.images import read_image, write_image
from splice.running.inputs import Files
from splice.running.outputs import RunFolder
from splice.running.recipe import KEYWORD, Recipe, Source, read_recipe, settings_of, with_sources
from splice.running.run import Run


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    """The plumbing alone is tested here."""
    monkeypatch.setitem(sys.modules, "splice.method.transfer", stand_in.module())


_settings = partial(small_run.settings, steps=2)


def _run(structure: Path, appearance: Path, folder: Path, settings: Settings) -> Path:
    with RunFolder(folder) as held:
        files = Files.of(structure, appearance, settings)
        return Run(files, settings, held).proceed().file


def test_a_picture_says_how_it_was_made(small, tmp_path):
    settings = _settings(small, seed=4, objective={"nearest": 0.5})
    picture = _run(small.structure, small.appearance, tmp_path / "out", settings)
    recipe = read_recipe(picture)
    assert settings_of(recipe, picture) == settings
    assert (recipe.version, recipe.steps) == (__version__, 2)
    files = {"structure image": small.structure, "appearance image": small.appearance}
    assert recipe.sources == {
        what: Source(str(file), hashlib.sha256(file.read_bytes()).hexdigest())
        for what, file in files.items()
    }
    with Image.open(picture) as opened:  # others can read it as well
        assert set(json.loads(opened.text[KEYWORD])) == {
            *("version", "sources", "settings", "steps")
        }


def test_the_same_run_gives_the_same_bytes(small, tmp_path):
    pair = small.structure, small.appearance
    first = _run(*pair, tmp_path / "first", _settings(small)).read_bytes()
    assert _run(*pair, tmp_path / "second", _settings(small)).read_bytes() == first


def test_a_node_of_a_cluster_has_other_paths(small, tmp_path):
    picture = _run(small.structure, small.appearance, tmp_path / "out", _settings(small))
    before, content = read_recipe(picture), picture.read_bytes()
    files = {"structure image": Path("mine/a.jpg"), "appearance image": Path("mine/b.jpg")}
    picture.write_bytes(with_sources(content, files))
    after = read_recipe(picture)
    assert [source.file for source in after.sources.values()] == ["mine/a.jpg", "mine/b.jpg"]
    assert replace(after, sources=before.sources) == before
    back = {"structure image": small.structure, "appearance image": small.appearance}
    assert with_sources(picture.read_bytes(), back) == content
    write_image(picture, read_image(small.structure))
    plain = picture.read_bytes()
    assert with_sources(plain, files) == plain


SOURCES = {
    "structure image": Source("a.jpg", "0" * 64),
    "appearance image": Source("b.jpg", "1" * 64),
}


def _recipe(**changes) -> Recipe:
    values = {
        "version": __version__,
        "sources": SOURCES,
        "settings": Settings().model_dump(mode="json"),
        "steps": 250,
    }
    return Recipe(**{**values, **changes})


def _damaged(**changes) -> str:
    return json.dumps({**json.loads(_recipe().texts()[KEYWORD]), **changes})


def _sources(structure: object) -> dict[str, object]:
    return {"structure image": structure, "appearance image": {"file": "b.jpg", "sha256": "1"}}


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "{}",
        '{"version": 1}',
        _damaged(version=3),
        _damaged(sources=_sources({"file": "a.jpg", "sha256": None})),
        _damaged(sources=_sources({"file": "a.jpg"})),
        _damaged(sources=_sources("b.jpg")),
        _damaged(sources={"structure image": {"file": "a.jpg", "sha256": "0"}}),
        _damaged(sources=["a.jpg"]),
        _damaged(settings=[1]),
        _damaged(steps="all"),
    ],
)
def test_damaged_recipes(tmp_path, text):
    write_image(tmp_path / "a.png", read_noise(), texts={KEYWORD: text})
    with pytest.raises(InputError, match=r"a\.png says of how it was made is damaged"):
        read_recipe(tmp_path / "a.png")


def read_noise():
    import torch

    return torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["plain.png", "plain.jpg", "plain.webp"])
def test_pictures_without_a_recipe(tmp_path, name):
    write_image(tmp_path / name, read_noise(), texts={})
    with pytest.raises(InputError, match=f"{name} does not say how it was made"):
        read_recipe(tmp_path / name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"collage": True}, ["look.png", "no setting collage"]),
        ({"steps": -3}, ["look.png: steps", "-3"]),
        ({"seen": 5}, ["look.png: seen"]),
    ],
)
def test_settings_that_this_version_does_not_have(changes, words):
    settings = {**Settings().model_dump(mode="json"), **changes}
    with pytest.raises(InputError) as caught:
        settings_of(_recipe(settings=settings), Path("look.png"))
    for word in words:
        assert word in str(caught.value)


def test_a_run_keeps_transparency_and_profile_of_the_structure_image(small, tmp_path):
    profile = icc_profile(2.2, ADOBE_RGB)
    alpha = np.tile(np.linspace(0, 255, 96).round().astype(np.uint8), (72, 1))
    with Image.open(small.structure) as opened:
        picture = opened.convert("RGB")
    picture.putalpha(Image.fromarray(alpha))
    picture.save(tmp_path / "clear.png", icc_profile=profile)
    pair = tmp_path / "clear.png", small.appearance
    output = _run(*pair, tmp_path / "out", _settings(small, size=72))
    with Image.open(output) as opened:
        assert opened.info["icc_profile"] == profile
        assert np.array_equal(np.asarray(opened.getchannel("A")), alpha)
    with Image.open(tmp_path / "out" / "panel.png") as panel:
        assert panel.mode == "RGB"
    deep = _run(*pair, tmp_path / "deep", _settings(small, size=72, depth=16))
    header = deep.read_bytes()[16:29]
    assert header[8:10] == bytes([16, 6])  # bits, and RGB with alpha
    # Both over white: the same picture, up to what 8 bits in a profile leave of it.
    assert (read_image(deep) - read_image(output)).abs().mean() < 0.005
